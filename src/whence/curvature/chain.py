"""A model taken apart into a chain: layers that hold the studied parameters, and what stands between them.

    a_0 = inputs,   z_k = W_k ∗ a_{k−1} + b_k,   a_k = f_k(z_k),   loss = f_L(z_L)

One forward pass is cut at every z_k, so that each f_k is differentiated for itself: by products of numbers where it
works on each number for itself, as activations do, else by autograd. A model is a chain if each layer is a plain
linear or convolutional one, is used once, and what enters it hangs on the layer before alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whence.batch import Batch
from whence.curvature.link import Link, link_of, linkable
from whence.gradients import functional
from whence.parameters import Layout
from whence.task import AbstractTask

MADE_UP = 0.37


@dataclass(frozen=True)
class Cut:
    """A layer that was called: its name, what entered it, and its output as a new leaf."""

    prefix: str
    layer: nn.Module
    entered: Tensor
    left: Tensor


@dataclass(frozen=True)
class Gap:
    """What stands behind a layer: a = f(z), or the sum of the losses where it is the last.

    ``slope`` and ``bend``: f′(z) and f″(z)·ā [batch, ...] where f works on each number for itself; else None and the
    derivatives come from the graph of ``pulled``, δ = (∂a/∂z)ᵀ ā, as a function of z and of ā.
    """

    left: Tensor
    after: Tensor
    cotangent: Tensor
    pulled: Tensor
    slope: Tensor | None
    bend: Tensor | None

    @property
    def narrow(self) -> bool:
        """Whether one channel of z becomes that channel of a and no other."""
        return self.slope is not None and self.after.shape == self.left.shape

    def ahead(self, change: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor]:
        """(ȧ, (∂δ/∂z)·ż) for ż [k, batch, ...]; with ``channel`` that is the only one of z, and of both answers."""
        if self.slope is None or self.bend is None:
            return self._by_graph(change)
        part = slice(None) if channel is None else slice(channel, channel + 1)
        ahead = change * self.slope[:, part]
        if channel is None:
            ahead = ahead.reshape(len(change), *self.after.shape)
        return ahead, change * self.bend[:, part]

    def back(self, change: Tensor) -> Tensor:
        """(∂a/∂z)ᵀ of a change of ā [k, batch, ...]."""
        if self.slope is not None:
            return change.reshape(len(change), *self.left.shape) * self.slope
        (found,) = torch.autograd.grad(self.after, self.left, change, retain_graph=True, is_grads_batched=True)
        return found

    def _by_graph(self, change: Tensor) -> tuple[Tensor, Tensor]:
        wanted = [value for value in (self.cotangent, self.left) if value.requires_grad]
        if not self.pulled.requires_grad:
            return change.new_zeros(len(change), *self.after.shape), torch.zeros_like(change)
        found = torch.autograd.grad(
            self.pulled, wanted, change, retain_graph=True, is_grads_batched=True, allow_unused=True
        )
        pieces = dict(zip(map(id, wanted), found, strict=True))
        ahead, bent = pieces.get(id(self.cotangent)), pieces.get(id(self.left))
        empty = change.new_zeros(len(change), *self.after.shape) if ahead is None else ahead
        return empty, torch.zeros_like(change) if bent is None else bent


@dataclass(frozen=True)
class Chain:
    """``links`` in their order, the ``gaps`` behind them and δ_k = ∂loss/∂z_k [batch, output, ...]."""

    links: tuple[Link, ...]
    gaps: tuple[Gap, ...]

    @property
    def pulled(self) -> list[Tensor]:
        return [gap.pulled.detach() for gap in self.gaps]


def chain_of(task: AbstractTask, theta: Tensor, batch: Batch) -> Chain | None:
    """The chain of one batch; None if the model is none."""
    cuts: list[Cut] = []
    named = task.layout.unflatten(theta.detach())
    with torch.enable_grad():
        with _cutting(task.module, task.layout, cuts):
            total = functional.loss_of(task, task.predict_named(named, batch), batch).sum()
        afters = [*(cut.entered for cut in cuts[1:]), total]
        if not _covered(cuts, task.layout, len(batch)) or not _chained([cut.left for cut in cuts], afters):
            return None
        links, gaps, cotangent = [], [], torch.ones_like(total)
        for cut, after in reversed(list(zip(cuts, afters, strict=True))):
            name = f"{cut.prefix}.weight" if cut.prefix else "weight"
            weight = named[name] if name in named else cut.layer.get_parameter("weight").detach()
            links.append(link_of(cut.prefix, cut.layer, weight, cut.entered.detach(), cut.left))
            gaps.append(_gap(cut.left, after, cotangent))
            cotangent = links[-1].pull(gaps[-1].pulled.detach()[None])[0] if len(links) < len(cuts) else cotangent
    return Chain(tuple(reversed(links)), tuple(reversed(gaps)))


def _covered(cuts: list[Cut], layout: Layout, count: int) -> bool:
    """Whether layers that were called once, with a row an example, hold every studied parameter."""
    prefixes = [cut.prefix for cut in cuts]
    single = len(set(prefixes)) == len(prefixes) and all(len(cut.left) == len(cut.entered) == count for cut in cuts)
    return single and {_prefix(name) for name in layout.names} == set(prefixes)


def _gap(left: Tensor, after: Tensor, cotangent: Tensor) -> Gap:
    """``cotangent``: ā, of the shape of ``after``; the last gap's is 1."""
    own = cotangent.detach().requires_grad_(after.ndim > 0)
    (pulled,) = torch.autograd.grad(after, left, own, create_graph=True)
    if after.numel() != left.numel() or not after.ndim:
        return Gap(left, after, own, pulled, None, None)
    ones = torch.ones_like(after)
    (slope,) = torch.autograd.grad(after, left, ones, create_graph=True)
    made_up = (MADE_UP * torch.arange(1, after.numel() + 1, device=after.device).to(after)).cos().reshape(after.shape)
    (probed,) = torch.autograd.grad(after, left, made_up, retain_graph=True)
    expected = slope.detach() * made_up.reshape(left.shape)
    if not torch.allclose(probed, expected, rtol=1e-5, atol=1e-6 * float(probed.abs().max())):
        return Gap(left, after, own, pulled, None, None)
    bend = torch.zeros_like(left)
    if slope.requires_grad:
        weighted = (slope * own.detach().reshape(left.shape)).sum()
        (bend,) = torch.autograd.grad(weighted, left, retain_graph=True, materialize_grads=True)
    return Gap(left, after, own, pulled, slope.detach(), bend)


def _chained(lefts: list[Tensor], afters: list[Tensor]) -> bool:
    """Whether each thing hangs on the layer just before it, and on no other."""
    for number, after in enumerate(afters):
        if not after.requires_grad:
            return False
        found = torch.autograd.grad(after.sum(), lefts, retain_graph=True, allow_unused=True)
        if any((piece is None) != (place != number) for place, piece in enumerate(found)):
            return False
    return True


@contextmanager
def _cutting(module: nn.Module, layout: Layout, cuts: list[Cut]) -> Iterator[None]:
    """Every layer with studied parameters gives its output as a new leaf, and is noted with what entered it."""
    prefixes = {_prefix(name) for name in layout.names}
    handles = []
    for name, layer in module.named_modules():
        if name in prefixes:

            def note(layer: nn.Module, args: Any, output: Any, prefix: str = name) -> Tensor | None:
                if not args or not isinstance(output, Tensor) or not linkable(layer, args[0]):
                    return None
                cuts.append(Cut(prefix, layer, args[0], output.detach().requires_grad_()))
                return cuts[-1].left

            handles.append(layer.register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _prefix(name: str) -> str:
    return name.rpartition(".")[0]

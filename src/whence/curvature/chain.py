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
from whence.curvature.gap import AbstractGap, gap_of
from whence.curvature.link import Link, link_of, linkable
from whence.gradients import functional
from whence.parameters import Layout
from whence.task import AbstractTask


@dataclass(frozen=True)
class Cut:
    """A layer that was called: its name, what entered it, and its output as a new leaf."""

    prefix: str
    layer: nn.Module
    entered: Tensor
    left: Tensor


@dataclass(frozen=True)
class Chain:
    """``links`` in their order, and the ``gaps`` behind them."""

    links: tuple[Link, ...]
    gaps: tuple[AbstractGap, ...]


def chain_of(task: AbstractTask, theta: Tensor, batch: Batch) -> Chain | None:
    """The chain of one batch; None if the model is none."""
    cuts: list[Cut] = []
    named = task.layout.unflatten(theta.detach())
    with torch.enable_grad():
        with _cutting(task.module, task.layout, cuts):
            losses = functional.loss_of(task, task.predict_named(named, batch), batch)
        afters = [*(cut.entered for cut in cuts[1:]), losses]
        if not _covered(cuts, task.layout, len(batch)) or not _chained([cut.left for cut in cuts], afters):
            return None
        links, gaps, cotangent = [], [], torch.ones_like(losses)
        for cut, after in reversed(list(zip(cuts, afters, strict=True))):
            name = f"{cut.prefix}.weight" if cut.prefix else "weight"
            weight = named[name] if name in named else cut.layer.get_parameter("weight").detach()
            links.append(link_of(cut.prefix, cut.layer, weight, cut.entered.detach(), cut.left))
            gaps.append(gap_of(cut.left, after, cotangent))
            delta = gaps[-1].delta.movedim(0, -1).contiguous()
            cotangent = links[-1].pull(delta[None])[0].movedim(-1, 0)
    return Chain(tuple(reversed(links)), tuple(reversed(gaps)))


def _covered(cuts: list[Cut], layout: Layout, count: int) -> bool:
    """Whether layers that were called once, with a row an example, hold every studied parameter."""
    prefixes = [cut.prefix for cut in cuts]
    single = len(set(prefixes)) == len(prefixes) and all(len(cut.left) == len(cut.entered) == count for cut in cuts)
    return single and {_prefix(name) for name in layout.names} == set(prefixes)


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
                return cuts[-1].left.clone()  # what works in place must not meet a leaf

            handles.append(layer.register_forward_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _prefix(name: str) -> str:
    return name.rpartition(".")[0]

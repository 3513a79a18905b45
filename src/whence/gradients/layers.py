"""Per-example gradients of linear, convolutional and embedding layers from one pass: what went in, and what came back.

For a layer z = W·a + b with cotangent δ of z, the gradient of one example is Σ_positions δ aᵀ (Goodfellow 2015,
"Efficient per-example gradient computations"; for convolutions a is the unfolded input, Rochette et al. 2019; for an
embedding a is the unit vector of the entry that was looked up).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whence.batch import Batch
from whence.parameters import Layout
from whence.task import AbstractTask

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
LAYERS = (nn.Linear, *CONVOLUTIONS, nn.Embedding)


@dataclass(frozen=True)
class Call:
    """One use of a layer in a forward pass: its name, its input and its output."""

    layer: nn.Module
    prefix: str
    entered: Tensor
    left: Tensor


@dataclass(frozen=True)
class Tape:
    """A forward pass with the calls of all layers that hold studied parameters."""

    layout: Layout
    output: Tensor
    calls: tuple[Call, ...]

    def pull(self, cotangent: Tensor) -> Tensor:
        """Per-example gradients [batch, parameter] of cotangent·output; ``cotangent`` is shaped as the output."""
        rows = self.output.new_zeros(len(self.output), self.layout.size)
        if not self.calls:
            return rows
        gradients = torch.autograd.grad(
            self.output, [call.left for call in self.calls], cotangent, retain_graph=True, allow_unused=True
        )
        slices = self.layout.slices
        for call, gradient in zip(self.calls, gradients, strict=True):
            if gradient is None:
                continue
            for name, piece in _layer_gradient(call, gradient):
                where = slices.get(name)
                if where is not None:
                    rows[:, where] += piece
        return rows


def covers(module: nn.Module, layout: Layout) -> bool:
    """Whether every studied parameter is the plain weight or bias of one of ``LAYERS``."""
    return set(layout.names) <= owned(module)


def owned(module: nn.Module) -> set[str]:
    """The names that the weights and biases of plain layers have, or would have if there were a bias."""
    return {
        f"{name}.{kind}" if name else kind
        for name, layer in module.named_modules()
        if type(layer) in LAYERS and plain(layer)
        for kind in ("weight", "bias")
    }


def record(task: AbstractTask, theta: Tensor, batch: Batch) -> Tape:
    """One forward pass that keeps each layer's input and output."""
    calls: list[Call] = []
    with torch.enable_grad(), _listening(task.module, task.layout, calls):
        output = task.predict(theta.detach().requires_grad_(True), batch)
    return Tape(task.layout, output, tuple(calls))


@contextmanager
def _listening(module: nn.Module, layout: Layout, calls: list[Call]) -> Iterator[None]:
    prefixes = {name.rpartition(".")[0] for name in layout.names}
    handles = []
    for name, layer in module.named_modules():
        if name in prefixes and type(layer) in LAYERS:

            def keep(layer: nn.Module, args: Any, output: Tensor, prefix: str = name) -> None:
                if output.requires_grad and args:
                    calls.append(Call(layer, prefix, args[0].detach(), output))

            handles.append(layer.register_forward_hook(keep))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def plain(layer: nn.Module) -> bool:
    """Whether a layer does what its weight and bias say and nothing else."""
    if layer._forward_pre_hooks:
        return False
    if isinstance(layer, CONVOLUTIONS):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, nn.Embedding):
        return layer.max_norm is None and not layer.scale_grad_by_freq
    return True


def entering(call: Call) -> Tensor:
    """What a linear or convolutional layer multiplies by its weight: a [batch, position, input].

    For convolutions position is the place in the output, and input is (channel, place in the window) of all groups.
    """
    layer, value = call.layer, call.entered
    if isinstance(layer, CONVOLUTIONS):
        return _windows(layer, value).transpose(1, 2)
    if isinstance(layer, nn.Linear):
        return value.reshape(len(value), -1, layer.in_features)
    raise TypeError(f"{type(layer).__name__} is not a layer that is taken apart here")


def _windows(layer: nn.Conv1d | nn.Conv2d, value: Tensor) -> Tensor:
    """The window under each place of the output [batch, (channel, place in the window), position].

    As views that are copied once, which on a CPU takes half as long as ``torch.nn.functional.unfold``.
    """
    spatial = len(layer.kernel_size)
    padding = layer.padding if isinstance(layer.padding, tuple) else (0,) * spatial
    value = F.pad(value, [side for width in reversed(padding) for side in (width, width)])
    for axis in range(spatial):
        span = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        value = value.unfold(2 + axis, span, layer.stride[axis])[..., :: layer.dilation[axis]]
    value = value.permute(0, 1, *range(2 + spatial, 2 + 2 * spatial), *range(2, 2 + spatial))
    return value.reshape(len(value), value.shape[1] * math.prod(layer.kernel_size), -1)


def returning(call: Call, gradient: Tensor) -> Tensor:
    """The cotangent of a layer's output as δ [batch, position, output]."""
    if isinstance(call.layer, CONVOLUTIONS):
        return gradient.flatten(2).transpose(1, 2)
    return gradient.reshape(len(gradient), -1, gradient.shape[-1])


def looked_up(call: Call) -> tuple[Tensor, Tensor]:
    """The entries that an embedding looked up [batch, position], and which of them have a gradient (no padding)."""
    entries = call.entered.reshape(len(call.entered), -1)
    padding = call.layer.padding_idx if isinstance(call.layer, nn.Embedding) else None
    return entries, torch.ones_like(entries, dtype=torch.bool) if padding is None else entries != padding


def _layer_gradient(call: Call, gradient: Tensor) -> Iterator[tuple[str, Tensor]]:
    prefix = f"{call.prefix}." if call.prefix else ""
    layer, count, g = call.layer, len(gradient), returning(call, gradient)
    if isinstance(layer, nn.Embedding):
        entries, real = looked_up(call)
        weight = g.new_zeros(count, layer.num_embeddings, g.shape[2])
        weight.scatter_add_(1, entries[:, :, None].expand_as(g), g * real[:, :, None])
    else:
        a, groups = entering(call), layer.groups if isinstance(layer, CONVOLUTIONS) else 1
        parts = zip(g.chunk(groups, 2), a.chunk(groups, 2), strict=True)
        pieces = [torch.bmm(mine.transpose(1, 2), own) for mine, own in parts]
        weight = pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)
    yield f"{prefix}weight", weight.reshape(count, -1)
    yield f"{prefix}bias", g.sum(1)

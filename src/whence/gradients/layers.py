"""Per-example gradients of linear and convolutional layers from one pass: what went in, and what came back.

For a layer z = W·a + b with cotangent δ of z, the gradient of one example is Σ_positions δ aᵀ (Goodfellow 2015,
"Efficient per-example gradient computations"; for convolutions a is the unfolded input, Rochette et al. 2019).
"""

from __future__ import annotations

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

LAYERS = (nn.Linear, nn.Conv2d)


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
        gradients = torch.autograd.grad(
            self.output, [call.left for call in self.calls], cotangent, retain_graph=True, allow_unused=True
        )
        rows = self.output.new_zeros(len(self.output), self.layout.size)
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
    """Whether every studied parameter is the plain weight or bias of a linear or 2-D convolutional layer."""
    owned = {
        f"{name}.{kind}" if name else kind
        for name, layer in module.named_modules()
        if type(layer) in LAYERS and _plain(layer)
        for kind in ("weight", "bias")
    }
    return set(layout.names) <= owned


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
                if output.requires_grad:
                    calls.append(Call(layer, prefix, args[0].detach(), output))

            handles.append(layer.register_forward_hook(keep))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _plain(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str) and not layer._forward_pre_hooks
    return not layer._forward_pre_hooks


def _layer_gradient(call: Call, gradient: Tensor) -> Iterator[tuple[str, Tensor]]:
    prefix = f"{call.prefix}." if call.prefix else ""
    layer, count = call.layer, len(gradient)
    if isinstance(layer, nn.Linear):
        a = call.entered.reshape(count, -1, layer.in_features)
        g = gradient.reshape(count, -1, layer.out_features)
        weight, bias = torch.bmm(g.transpose(1, 2), a), g.sum(1)
    elif isinstance(layer, nn.Conv2d):
        padding = layer.padding if isinstance(layer.padding, tuple) else (0, 0)
        windows = F.unfold(call.entered, layer.kernel_size, layer.dilation, padding, layer.stride)
        groups, positions = layer.groups, windows.shape[-1]
        a = windows.reshape(count * groups, -1, positions)
        g = gradient.reshape(count * groups, -1, positions)
        weight, bias = torch.bmm(g, a.transpose(1, 2)), gradient.reshape(count, layer.out_channels, -1).sum(2)
    else:
        raise TypeError(f"{type(layer).__name__} is not a layer that is taken apart here")
    yield f"{prefix}weight", weight.reshape(count, -1)
    yield f"{prefix}bias", bias

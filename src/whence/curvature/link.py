"""A plain linear or convolutional layer z = W ∗ a + b, as what it does to changes of a and of z, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whence.gradients.layers import plain


@dataclass(frozen=True)
class Link:
    """``entered`` a [batch, input, ...], ``weight`` [output, input, ...] and ``left``, z [batch, output, ...].

    ``stride``, ``padding`` and ``dilation`` are empty for a linear layer, as what follows the channels is.
    """

    prefix: str
    weight: Tensor
    entered: Tensor
    left: Tensor
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()

    @property
    def spatial(self) -> int:
        """How many dimensions of positions there are."""
        return len(self.stride)

    def windows(self, value: Tensor) -> Tensor:
        """What each number of the weight meets: [..., channel, *input] to a view [..., channel, *output, *kernel]."""
        lead = value.ndim - self.spatial
        value = F.pad(value, [side for width in reversed(self.padding) for side in (width, width)])
        for axis, step, dilation in zip(range(self.spatial), self.stride, self.dilation, strict=True):
            span = dilation * (self.weight.shape[2 + axis] - 1) + 1
            value = value.unfold(lead + axis, span, step)[..., ::dilation]
        return value

    def push(self, change: Tensor, channel: int | None = None) -> Tensor:
        """W ∗ ȧ for ȧ [k, batch, input, ...]; with ``channel`` that is the only one of the input."""
        weight = self.weight if channel is None else self.weight[:, channel : channel + 1]
        if not self.spatial:
            return change @ weight.T
        return self._convolved(change, weight, self.stride, self.padding)

    def pull(self, change: Tensor) -> Tensor:
        """Wᵀ ∗ δ̇ for δ̇ [k, batch, output, ...]."""
        if not self.spatial:
            return change @ self.weight
        spans = [d * (size - 1) for d, size in zip(self.dilation, self.weight.shape[2:], strict=True)]
        margins = tuple(span - padding for span, padding in zip(spans, self.padding, strict=True))
        if set(self.stride) == {1} and min(margins) >= 0:
            # the same as a convolution with the weight turned round, for which kernels are faster
            turned = self.weight.flip(*range(2, self.weight.ndim)).transpose(0, 1)
            return self._convolved(change, turned, self.stride, margins)
        sides = zip(self.entered.shape[2:], self.left.shape[2:], self.stride, self.padding, spans, strict=True)
        extra = [into - ((out - 1) * step - 2 * padding + span + 1) for into, out, step, padding, span in sides]
        return self._convolved(change, self.weight, self.stride, self.padding, extra)

    def _convolved(
        self,
        change: Tensor,
        weight: Tensor,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        transposed: list[int] | None = None,
    ) -> Tensor:
        """``transposed``: the output padding of a transposed convolution, None for a plain one."""
        extra = [0] * self.spatial if transposed is None else transposed
        flat, back = change.flatten(0, 1), transposed is not None
        found = torch.convolution(flat, weight, None, stride, padding, self.dilation, back, extra, 1)
        return found.reshape(*change.shape[:2], *found.shape[1:])


def link_of(prefix: str, layer: nn.Module, weight: Tensor, entered: Tensor, left: Tensor) -> Link:
    """The link of a layer that :func:`linkable` takes, with the weight that stands in for the layer's own."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        padding = tuple(int(width) for width in layer.padding)
        return Link(prefix, weight, entered, left, tuple(layer.stride), padding, tuple(layer.dilation))
    return Link(prefix, weight, entered, left)


def linkable(layer: nn.Module, entered: Tensor) -> bool:
    """Whether it is a plain linear layer over vectors, or a plain convolution of one group over a batch."""
    if type(layer) is nn.Linear:
        return plain(layer) and entered.ndim == 2
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and type(layer) in (nn.Conv1d, nn.Conv2d):
        return plain(layer) and layer.groups == 1 and entered.ndim == 2 + len(layer.kernel_size)
    return False

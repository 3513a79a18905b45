"""A plain linear or convolutional layer z = W ∗ a + b, as what it does to changes of a and of z, many at a time.

Everything is a product of matrices. Changes are held as [k, channel, *position, batch]: with the batch last the windows
of a convolution are copied, and added up again, in long pieces.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from whence.gradients.layers import plain

SPREAD = 2**21
"""How many numbers a convolution sends back at once before they are added up: more of them leave the cache."""


@dataclass(frozen=True)
class Link:
    """``entered`` a [input, *position, batch], ``weight`` [output, input, *kernel], ``left``: z [batch, output, ...].

    ``stride``, ``padding`` and ``dilation`` are empty for a linear layer, as positions and kernel are.
    """

    prefix: str
    weight: Tensor
    entered: Tensor
    left: Tensor
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(self.weight.shape[2:])

    def windows(self, value: Tensor) -> Tensor:
        """What each number of the weight meets: [k, input, *position, batch] to [k, input·kernel, position·batch]."""
        spatial = len(self.kernel)
        if not spatial:
            return value
        if any(self.padding):
            value = F.pad(value, [0, 0, *(side for width in reversed(self.padding) for side in (width, width))])
        for axis, size in enumerate(self.kernel):
            dilation = self.dilation[axis]
            value = value.unfold(2 + axis, dilation * (size - 1) + 1, self.stride[axis])[..., ::dilation]
        first = 3 + spatial
        value = value.permute(0, 1, *range(first, first + spatial), *range(2, first))
        return value.reshape(len(value), value.shape[1] * math.prod(self.kernel), -1)

    def push(self, windows: Tensor, channel: int | None = None) -> Tensor:
        """W ∗ ȧ [k, output, *position, batch] for the windows of ȧ; with ``channel`` that is the input's only one."""
        weight = self.weight if channel is None else self.weight[:, channel : channel + 1]
        found = weight.flatten(1) @ windows
        return found.reshape(len(windows), *self.left.shape[1:], len(self.left))

    def pull(self, change: Tensor) -> Tensor:
        """Wᵀ ∗ δ̇ [k, input, *position, batch] for δ̇ [k, output, *position, batch]."""
        turned = self.weight.flatten(1).T.contiguous()
        if not self.kernel:
            return turned @ change
        count, *places, batch = self.entered.shape
        wide = [place + 2 * padding for place, padding in zip(places, self.padding, strict=True)]
        found = change.new_zeros(len(change), count, *wide, batch)
        together = max(1, SPREAD // (turned.shape[0] * change[0, 0].numel()))
        for start in range(0, len(change), together):
            part = slice(start, start + together)
            self._fold(turned @ change[part].flatten(2), found[part])
        for axis, (place, padding) in enumerate(zip(places, self.padding, strict=True)):
            found = found.narrow(2 + axis, padding, place)
        return found

    def _fold(self, spread: Tensor, into: Tensor) -> None:
        """Add what each number of the kernel sends back [k, input·kernel, position·batch] to where it came from."""
        places, batch = self.left.shape[2:], len(self.left)
        pieces = spread.reshape(len(into), -1, *self.kernel, *places, batch)
        everything = slice(None)
        for where in itertools.product(*map(range, self.kernel)):
            steps = zip(where, self.dilation, self.stride, places, strict=True)
            reached = tuple(slice(at * d, at * d + step * (out - 1) + 1, step) for at, d, step, out in steps)
            sent: tuple[int | slice, ...] = (everything, everything, *where)
            into[(everything, everything, *reached)] += pieces[sent]


def link_of(prefix: str, layer: nn.Module, weight: Tensor, entered: Tensor, left: Tensor) -> Link:
    """The link of a layer that :func:`linkable` takes, with the weight that stands in for the layer's own."""
    last = entered.movedim(0, -1).contiguous()
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        padding = tuple(int(width) for width in layer.padding)
        return Link(prefix, weight, last, left, tuple(layer.stride), padding, tuple(layer.dilation))
    return Link(prefix, weight, last, left)


def linkable(layer: nn.Module, entered: Tensor) -> bool:
    """Whether it is a plain linear layer over vectors, or a plain convolution of one group over a batch."""
    if type(layer) is nn.Linear:
        return plain(layer) and entered.ndim == 2
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and type(layer) in (nn.Conv1d, nn.Conv2d):
        return plain(layer) and layer.groups == 1 and entered.ndim == 2 + len(layer.kernel_size)
    return False

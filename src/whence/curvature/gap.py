"""What stands between two layers of a chain, a = f(z), or behind the last one, the sum of the losses.

A gap holds δ = (∂a/∂z)ᵀ ā and answers, for many changes ż and ā̇ at once, with ȧ = (∂a/∂z) ż, (∂δ/∂z) ż and
(∂a/∂z)ᵀ ā̇. Activations work on each number for itself, so that these are products of numbers; what is small an example
is held as matrices; of all else the graph of f is kept. Changes are held as [k, channel, *position, batch].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

MADE_UP = 0.37
SMALL = 2**12
"""Up to so many numbers an example ∂a/∂z and ∂δ/∂z are held as matrices."""


class AbstractGap(ABC):
    """``delta``: δ [batch, output, ...]; ``narrow``: whether one channel of z becomes that channel of a alone."""

    delta: Tensor
    narrow: bool

    @abstractmethod
    def ahead(self, change: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor]:
        """(ȧ, (∂δ/∂z) ż) for ż; with ``channel``, of a narrow gap, that is the only one, of the answers too."""

    @abstractmethod
    def back(self, change: Tensor) -> Tensor:
        """(∂a/∂z)ᵀ ā̇."""


@final
@dataclass(frozen=True)
class Elementwise(AbstractGap):
    """``slope`` f′(z) and ``bend`` f″(z)·ā, both [output, *position, batch]; ``after``: the shape of a."""

    delta: Tensor
    slope: Tensor
    bend: Tensor
    after: tuple[int, ...]

    @property
    def narrow(self) -> bool:  # type: ignore[override]
        return self.after[1:] == tuple(self.slope.shape[:-1])

    def ahead(self, change: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor]:
        part = slice(None) if channel is None else slice(channel, channel + 1)
        ahead, bent = change * self.slope[part], change * self.bend[part]
        return ahead if channel is not None else ahead.reshape(len(change), *self.after[1:], self.after[0]), bent

    def back(self, change: Tensor) -> Tensor:
        return change.reshape(len(change), *self.slope.shape) * self.slope


@final
@dataclass(frozen=True)
class Small(AbstractGap):
    """``slopes`` ∂a/∂z [a, z, batch]; ``bends`` ∂δ/∂z [z, z, batch], or its diagonal [z, batch] if that is all."""

    delta: Tensor
    slopes: Tensor
    bends: Tensor
    after: tuple[int, ...]
    narrow: bool = False

    def ahead(self, change: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor]:
        flat = change.flatten(1, -2)
        bent = flat * self.bends if self.bends.ndim == 2 else _applied(self.bends, flat)
        ahead = _applied(self.slopes, flat)
        return ahead.reshape(len(change), *self.after[1:], self.after[0]), bent.reshape(change.shape)

    def back(self, change: Tensor) -> Tensor:
        found = _applied(self.slopes.transpose(0, 1), change.flatten(1, -2))
        return found.reshape(len(change), *self.delta.shape[1:], self.after[0])


def _applied(matrices: Tensor, change: Tensor) -> Tensor:
    """A matrix an example [row, column, batch] times [k, column, batch], which is faster for few numbers than bmm."""
    return (matrices * change[:, None]).sum(2)


@final
@dataclass(frozen=True)
class ByGraph(AbstractGap):
    """The graph of a and of δ as functions of z, ``left``, and of ā, ``cotangent``."""

    left: Tensor
    after: Tensor
    cotangent: Tensor
    pulled: Tensor
    narrow: bool = False

    @property
    def delta(self) -> Tensor:  # type: ignore[override]
        return self.pulled.detach()

    def ahead(self, change: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor]:
        ahead, bent = (self._products(self.pulled, of, change) for of in (self.cotangent, self.left))
        return ahead, bent

    def back(self, change: Tensor) -> Tensor:
        return self._products(self.after, self.left, change)

    def _products(self, value: Tensor, of: Tensor, change: Tensor) -> Tensor:
        found = None
        if value.requires_grad:
            (found,) = torch.autograd.grad(
                value, of, change.movedim(-1, 1), retain_graph=True, is_grads_batched=True, allow_unused=True
            )
        if found is None:
            return change.new_zeros(len(change), *of.shape[1:], len(of))
        return found.movedim(1, -1).contiguous()


def gap_of(left: Tensor, after: Tensor, cotangent: Tensor) -> AbstractGap:
    """From z, a leaf, the graph of a [batch, ...] and ā; the losses [batch] behind the last layer, where ā is 1."""
    own = cotangent.detach().requires_grad_()
    (pulled,) = torch.autograd.grad(after, left, own, create_graph=True)
    kept = ByGraph(left, after, own, pulled)
    found = _elementwise(kept)
    if found is not None:
        return found
    size, width = left[0].numel(), max(after[0].numel(), left[0].numel())
    if size * width > SMALL:
        return kept
    slopes = kept.back(_units(after)).flatten(1, -2)
    bends = kept._products(pulled, left, _units(left)).flatten(1, -2)
    diagonal = bends.diagonal().T.contiguous()
    if int(bends.count_nonzero()) == int(diagonal.count_nonzero()):
        bends = diagonal
    return Small(kept.delta, slopes, bends, (len(left), *after.shape[1:]))


def _units(value: Tensor) -> Tensor:
    """Each entry of an example alone [entry, ..., batch]."""
    size = value[0].numel()
    eye = torch.eye(size, dtype=value.dtype, device=value.device).reshape(size, *value.shape[1:], 1)
    return eye.expand(*eye.shape[:-1], len(value))


def _elementwise(gap: ByGraph) -> Elementwise | None:
    """If f works on each number for itself: a made-up cotangent then comes back as a product with that of ones."""
    left, after = gap.left, gap.after
    if after.ndim == 1 or after.numel() != left.numel():
        return None
    (slope,) = torch.autograd.grad(after, left, torch.ones_like(after), create_graph=True)
    made_up = (MADE_UP * torch.arange(1, after.numel() + 1, device=after.device).to(after)).cos().reshape(after.shape)
    (probed,) = torch.autograd.grad(after, left, made_up, retain_graph=True)
    expected = slope.detach() * made_up.reshape(left.shape)
    if not torch.allclose(probed, expected, rtol=1e-5, atol=1e-6 * float(probed.abs().max())):
        return None
    bend = torch.zeros_like(left)
    if slope.requires_grad:
        weighted = (slope * gap.cotangent.detach().reshape(left.shape)).sum()
        (bend,) = torch.autograd.grad(weighted, left, retain_graph=True, materialize_grads=True)
    first, second = (value.detach().movedim(0, -1).contiguous() for value in (slope, bend))
    return Elementwise(gap.delta, first, second, tuple(after.shape))

"""Two ways to hold a covariance S so that distances by S⁻¹ are Euclidean: its Cholesky factor, or a few axes.

The axes are for embeddings of more dimensions than examples, where S is a multiple of the identity but for the span
of the examples, and a d×d matrix would be large and tell nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Factor:
    """S = L Lᵀ by ``upper`` = Lᵀ [d, d] in float64."""

    upper: Tensor

    @property
    def dimension(self) -> int:
        return len(self.upper)

    def whiten(self, x: Tensor) -> Tensor:
        """x L⁻ᵀ [rows, d]."""
        white: Tensor = torch.linalg.solve_triangular(self.upper, x, upper=True, left=False)
        return white

    def tensors(self) -> dict[str, Tensor]:
        return {"upper": self.upper}


@final
@dataclass(frozen=True)
class Axes:
    """S = b·I + Σ_k (s_k² − b) v_k v_kᵀ by orthonormal ``axes`` v [r, d], ``deviations`` s [r] and ``floor`` √b [1]."""

    axes: Tensor
    deviations: Tensor
    floor: Tensor

    @property
    def dimension(self) -> int:
        return self.axes.shape[1]

    def whiten(self, x: Tensor) -> Tensor:
        """x S^(−½) [rows, d]: along each axis divided by its deviation, elsewhere by the floor."""
        gain = 1 / self.deviations - 1 / self.floor
        return x / self.floor + ((x @ self.axes.T) * gain) @ self.axes

    def tensors(self) -> dict[str, Tensor]:
        return {"axes": self.axes, "deviations": self.deviations, "floor": self.floor}


Whitening: TypeAlias = Factor | Axes


def whitening_of(tensors: Mapping[str, Tensor]) -> Whitening:
    """The whitening whose ``tensors()`` these are."""
    if "upper" in tensors:
        return Factor(tensors["upper"])
    return Axes(tensors["axes"], tensors["deviations"], tensors["floor"])

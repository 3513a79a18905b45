"""The direct solve by eigendecomposition, for matrices with flat directions: they are dropped, and it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper
from whence.solvers.dense import LARGEST, dense_matrix
from whence.solvers.solver import AbstractSolver, Solution, State, indefinite, relative_residual


@final
@dataclass(frozen=True)
class Eigen(AbstractSolver):
    """A = U diag(λ) Uᵀ; the pseudo-inverse over all λ > ``flat``·λ_max.

    A softmax classifier has one exactly flat direction (the common shift of all output biases): no prediction
    depends on it, so the minimum-norm answer is the right one. ``largest`` as for Dense.
    """

    flat: float = 1e-9
    largest: int = LARGEST

    @property
    def name(self) -> str:
        return "eigendecomposition"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        values, vectors = torch.linalg.eigh(dense_matrix(operator, mapper, self.largest))
        threshold = self.flat * float(values[-1])
        if float(values[0]) < -threshold:
            raise indefinite(float(values[0]))
        kept = values > threshold
        notes = {"flat_directions": int((~kept).sum())}
        return State({"values": values[kept], "vectors": vectors[:, kept]}, float(values[0]), float(values[-1]), notes)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        vectors = state.tensors["vectors"]
        inside = vectors.T @ v
        value = vectors @ (inside / state.tensors["values"][:, None])
        seen = vectors @ inside
        residual = relative_residual(operator, value, seen)
        dropped = ((v - seen).norm(dim=0) / v.norm(dim=0).clamp(min=1e-300)).cpu().numpy()
        notes = {**state.notes, "relative_part_in_flat_directions": float(dropped.max(initial=0.0))}
        tolerance = 1e-8 if operator.dtype == torch.float64 else 1e-3
        return Solution(
            value,
            np.isfinite(residual) & (residual < tolerance),
            residual,
            1,
            state.lambda_min,
            state.lambda_max,
            notes,
        )

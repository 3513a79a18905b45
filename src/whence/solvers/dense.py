"""The direct solve for small models: Cholesky factorisation of the dense matrix, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.curvature.operator import AbstractOperator, Matrix
from whence.mapping import AbstractMapper
from whence.solvers.solver import AbstractSolver, IndefiniteError, Solution, State, indefinite
from whence.solvers.spectrum import extremes

LARGEST = 20_000
EIGENVALUES_UP_TO = 1_000
LOOKING, WITHIN = 60, 1e-4


@final
@dataclass(frozen=True)
class Dense(AbstractSolver):
    """A = L Lᵀ once, then two triangular solves a right-hand side.

    ``largest``: refuse models with more parameters than this (p² numbers of 8 bytes must fit in memory).
    """

    largest: int = LARGEST

    @property
    def name(self) -> str:
        return "dense Cholesky"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        matrix = dense_matrix(operator, mapper, self.largest)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            eigenvalues = torch.linalg.eigvalsh(matrix)
            _refuse(float(eigenvalues[0]), float(eigenvalues[-1]))
        lambda_min, lambda_max = _extremes(matrix, factor)
        return State({"factor": factor, "matrix": matrix}, lambda_min, lambda_max)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        matrix, factor = state.tensors["matrix"], state.tensors["factor"]
        value = cholesky.solve(factor, v)
        value += cholesky.solve(factor, v - matrix @ value)
        left, norm = v - matrix @ value, v.norm(dim=0)
        residual = (left.norm(dim=0) / norm.clamp(min=1e-300)).cpu().numpy()
        return Solution(
            value, np.isfinite(residual) & (residual < 1e-8), residual, 1, state.lambda_min, state.lambda_max
        )


def _extremes(matrix: Tensor, factor: Tensor) -> tuple[float, float]:
    """λ_min and λ_max: exact for small matrices; else by Lanczos, λ_min from the inverse, where it is the largest."""
    if len(matrix) <= EIGENVALUES_UP_TO:
        eigenvalues = torch.linalg.eigvalsh(matrix)
        return float(eigenvalues[0]), float(eigenvalues[-1])
    pair = (_Inverse(factor), Matrix(matrix))
    smallest, largest = (extremes(one, LOOKING, largest_within=WITHIN) for one in pair)
    return 1.0 / smallest.lambda_max, largest.lambda_max


@final
@dataclass(frozen=True, eq=False)
class _Inverse(AbstractOperator):
    """A⁻¹ by its Cholesky factor."""

    factor: Tensor

    @property
    def size(self) -> int:
        return len(self.factor)

    @property
    def dtype(self) -> torch.dtype:
        return self.factor.dtype

    @property
    def device(self) -> torch.device:
        return self.factor.device

    def matmat(self, v: Tensor) -> Tensor:
        return cholesky.solve(self.factor, v)


def _refuse(lambda_min: float, lambda_max: float) -> None:
    if lambda_min > -1e-12 * abs(lambda_max):
        raise IndefiniteError(
            f"the curvature is singular: its smallest eigenvalue is {lambda_min:.2g}, 0 but for rounding. "
            "Use the Eigen solver, which drops flat directions, or a small damping."
        )
    raise indefinite(lambda_min)


def dense_matrix(operator: AbstractOperator, mapper: AbstractMapper | None, largest: int) -> Tensor:
    """The operator's matrix in float64; raises ValueError if the model is larger than ``largest`` parameters."""
    if operator.size > largest:
        raise ValueError(
            f"a dense solve of {operator.size} parameters needs {operator.size**2 * 8 / 2**30:.0f} GiB; the limit is "
            f"{largest} parameters. Use ConjugateGradient, or study fewer parameters with only=[...]."
        )
    matrix = operator.dense(mapper).double()
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError("the curvature matrix holds NaN or infinity: the loss is not twice differentiable here.")
    return matrix

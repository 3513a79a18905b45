"""What the refits of one model share: a factor of the curvature at θ̂, made exact for each removal by Woodbury.

Without the examples R the curvature is B − c Σ_{i∈R} J_iᵀA_iJ_i, with B factorised once. The correction has rank
|R|·outputs, so a refit's first step is already the leverage-corrected Newton step, and the following ones are short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.curvature.gauss_newton import curvature_rows
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.gradients import functional, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.solvers.dense import LARGEST, dense_matrix
from whence.solvers.solver import indefinite

WOODBURY_UP_TO = 400


def factorise(curvature: AbstractOperator, objective: Objective, damping: float, mapper: AbstractMapper) -> Tensor:
    """The Cholesky factor of B = s·(curvature − diag λ) + diag λ + damping·I, s = n/(n−1) or 1, in float64."""
    decay = objective.decay
    grown = objective.growth * (curvature + Diagonal(-decay)) + Diagonal(decay)
    matrix = dense_matrix(grown.damped(damping), mapper, LARGEST)
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        raise indefinite(float(torch.linalg.eigvalsh(matrix)[0]))
    return factor


def preconditioner(objective: Objective, factor: Tensor, removed: Tensor) -> Callable[[Tensor], Tensor]:
    """v → (B − c Σ_{i∈removed} J_iᵀA_iJ_i)⁻¹ v; without the correction where its rank is too large to pay."""

    def plain(v: Tensor) -> Tensor:
        return cholesky.solve(factor, v[:, None])[:, 0]

    part = objective.train[removed.numpy()]
    way = rows.way_for(objective.task, objective.theta, part)
    pieces = torch.cat(list(curvature_rows(objective.task, objective.theta, part, way)))
    if len(pieces) > WOODBURY_UP_TO:
        return plain
    u = (removal_weight(objective, len(removed)) ** 0.5 * pieces.double()).T
    solved = cholesky.solve(factor, u)
    capacitance = torch.eye(u.shape[1], dtype=u.dtype) - u.T @ solved
    if float(torch.linalg.eigvalsh(0.5 * (capacitance + capacitance.T))[0]) < 1e-6:
        return plain  # without these examples the curvature at θ̂ is no longer positive definite
    return lambda v: plain(v) + solved @ torch.linalg.solve(capacitance, solved.T @ v)


def removal_weight(objective: Objective, count: int) -> float:
    """The weight of one example's loss once ``count`` examples are removed: 1/(n − count) or 1."""
    return 1.0 / (objective.count - count) if objective.mean else 1.0


def removal_gradient(objective: Objective, shared: Mapping[str, Tensor], removed: Tensor) -> Tensor:
    """∇F₋R(θ̂) − ∇F(θ̂) = c Σ_{i∈R} (∇L − ∇ℓ_i), with ∇L = 0 for a sum objective; costs no pass over the data."""
    part = objective.train[removed.numpy()]
    gradient = functional.summed(objective.task, objective.theta, part)[1]
    return removal_weight(objective, len(removed)) * (len(removed) * shared["mean_gradient"] - gradient)

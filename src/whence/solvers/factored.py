"""The direct solve for curvature with a structure: Kronecker blocks in their eigenbasis, blocks by Cholesky, and so on.

The inverses are in :mod:`whence.solvers.structured_inverse`. The only one that is approximate, of Kronecker blocks
within which penalty and damping are more than two numbers, preconditions conjugate gradients on the operator itself,
which sees no data and takes a few steps; so the solution is exact in all cases, and the residual says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from whence.curvature.estimate import AbstractEstimate
from whence.curvature.operator import AbstractOperator, Diagonal, Scaled, Sum
from whence.curvature.structured import PIECE, DenseBlocks, KroneckerBlocks, LowRank
from whence.mapping import AbstractMapper
from whence.solvers.recursion import conjugate_gradients
from whence.solvers.solver import AbstractSolver, IndefiniteError, Solution, State, indefinite, relative_residual
from whence.solvers.spectrum import extremes
from whence.solvers.structured_inverse import inverse_of, restored

Structure: TypeAlias = KroneckerBlocks | DenseBlocks | LowRank
TOLERANCE, STEPS = 1e-11, 200
CONVERGED = 1e-8
LOOKING = 40


@final
@dataclass(frozen=True)
class Factored(AbstractSolver):
    """For the curvatures "kfac", "ekfac", "block-diagonal", "diagonal" and "sampled-gauss-newton".

    What is worked out from the data is kept in the state, in float64; no solve passes over the data again.
    """

    @property
    def name(self) -> str:
        return "direct solve by structure"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        structure, scale, shift = split(operator.estimated(mapper))
        tensors = {"shift": shift, "scale": torch.tensor([scale], dtype=torch.float64, device="cpu")}
        notes: dict[str, Any] = {}
        if structure is not None:
            tensors |= _saved(structure, scale, shift)
        if isinstance(structure, KroneckerBlocks):
            notes["diagonal_parameters"] = list(structure.others)
        low, high = _spectrum(structure, scale, shift, tensors)
        return State(tensors, low, high, notes)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        whole, inverse = restored(state.tensors), inverse_of(state.tensors)
        value = inverse(v)
        residual = relative_residual(whole, value, v)
        iterations = 1
        if not (residual <= CONVERGED / 100).all():
            run = conjugate_gradients(whole.matmat, inverse, v, TOLERANCE, STEPS, start=value)
            value, iterations = run.x, 1 + run.iterations
            residual = relative_residual(whole, value, v)
        converged = np.isfinite(residual) & (residual <= CONVERGED)
        return Solution(value, converged, residual, iterations, state.lambda_min, state.lambda_max, state.notes)


def split(operator: AbstractOperator) -> tuple[Structure | None, float, Tensor]:
    """(S, c, d) with the operator = c·S + diag(d); TypeError for an operator of another form."""
    if isinstance(operator, Diagonal):
        return None, 1.0, operator.values.double()
    if isinstance(operator, Scaled):
        structure, scale, shift = split(operator.inner)
        return structure, operator.factor * scale, operator.factor * shift
    if isinstance(operator, Sum):
        first, second = split(operator.first), split(operator.second)
        if first[0] is not None and second[0] is not None:
            raise TypeError("the sum of two structured curvatures has no structure: use ConjugateGradient.")
        structure, scale, _ = first if first[0] is not None else second
        return structure, scale, first[2] + second[2].to(first[2].device)
    if isinstance(operator, KroneckerBlocks | DenseBlocks | LowRank):
        return operator, 1.0, torch.zeros(operator.size, dtype=torch.float64, device=operator.device)
    raise TypeError(
        f"{type(operator).__name__} has no structure that a direct solve could use: it is for the curvatures 'kfac', "
        "'ekfac', 'block-diagonal', 'diagonal' and 'sampled-gauss-newton'. Use Dense or ConjugateGradient."
    )


def structured(operator: AbstractOperator) -> bool:
    """Whether :func:`split` will find a form that it knows, without working anything out."""
    if isinstance(operator, Sum):
        return structured(operator.first) and structured(operator.second)
    if isinstance(operator, Scaled):
        return structured(operator.inner)
    return isinstance(operator, AbstractEstimate | Diagonal | KroneckerBlocks | DenseBlocks | LowRank)


def _saved(structure: Structure, scale: float, shift: Tensor) -> dict[str, Tensor]:
    """The structure and its factors as tensors; raises IndefiniteError where there is no inverse."""
    if isinstance(structure, KroneckerBlocks):
        return structure.tensors
    if isinstance(structure, LowRank):
        if not bool((shift > 0).all()):
            raise IndefiniteError(
                "the curvature of a few rows is singular: it says nothing outside their span. Use a positive damping."
            )
        pieces = torch.split(structure.rows, PIECE)
        inner = torch.cat([structure.project((piece.double() / shift).T) for piece in pieces], 1)
        eye = torch.eye(len(inner), dtype=inner.dtype, device=inner.device)
        return {"rows": structure.rows, "factor": torch.linalg.cholesky(0.5 * (inner + inner.T) + eye / scale)}
    found: dict[str, Tensor] = {}
    for number, (place, matrix) in enumerate(zip(structure.places, structure.matrices, strict=True)):
        shifted = scale * matrix + torch.diag(shift[place])
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if int(failed):
            _refuse(float(torch.linalg.eigvalsh(shifted)[0]), float(shifted.diagonal().abs().max()))
        found |= {f"place.{number}": place, f"matrix.{number}": matrix, f"factor.{number}": factor}
    return found


def _spectrum(
    structure: Structure | None, scale: float, shift: Tensor, tensors: Mapping[str, Tensor]
) -> tuple[float, float]:
    """λ_min and λ_max: exact but for Kronecker blocks within which D is more than one number, and for few rows."""
    if isinstance(structure, KroneckerBlocks):
        covered = torch.zeros_like(shift)[:, None]
        values = []
        for block in structure.blocks:
            block.scatter(torch.ones_like(block.values)[None], covered)
            values.append((scale * block.values + block.diagonal_of(block.gather(shift[:, None])[0])).reshape(-1))
        everything = torch.cat([*values, (scale * structure.rest + shift)[covered[:, 0] == 0]])
        low, high = float(everything.min()), float(everything.max())
        if low <= 1e-14 * high:
            _refuse(low, high)
        return low, high
    if isinstance(structure, DenseBlocks):
        pairs = [
            torch.linalg.eigvalsh(scale * matrix + torch.diag(shift[place]))[[0, -1]]
            for place, matrix in zip(structure.places, structure.matrices, strict=True)
        ]
        return float(torch.stack(pairs).min()), float(torch.stack(pairs).max())
    if structure is None:
        low, high = float(shift.min()), float(shift.max())
        if low <= 0:
            _refuse(low, high)
        return low, high
    return float(shift.min()), extremes(restored(tensors), LOOKING, largest_within=1e-4).lambda_max


def _refuse(low: float, high: float) -> None:
    if low > -1e-12 * abs(high):
        raise IndefiniteError(
            f"the curvature is singular: its smallest eigenvalue is {low:.2g}, 0 but for rounding. Use a small damping."
        )
    raise indefinite(low)

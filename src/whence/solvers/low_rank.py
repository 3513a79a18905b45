"""A few eigenpairs of the curvature in place of the whole: the ground of the low-rank solvers.

For A = B + δI and the pairs (μ_j, u_j) of B that are kept, U their matrix,

    A⁻¹v ≈ U diag(1/(μ + δ)) Uᵀv  +  (v − U Uᵀv)/δ

The second term is the complement: where no pair is kept B is taken to be 0, so A is δI there. Without it the answer is
confined to span U, as if A were infinite outside; at small δ that leaves out the larger part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator, Diagonal, Scaled, Sum
from whence.solvers.solver import Solution, State, indefinite, relative_residual

PROBES = 8


def damping_of(operator: AbstractOperator) -> float:
    """δ: the largest multiple of I among the diagonal terms of a sum; 0 if there is none."""
    return float(values.min()) if (values := _diagonal_terms(operator)) is not None else 0.0


def _diagonal_terms(operator: AbstractOperator) -> Tensor | None:
    if isinstance(operator, Diagonal):
        return operator.values.double()
    if isinstance(operator, Scaled):
        inner = _diagonal_terms(operator.inner)
        return None if inner is None else operator.factor * inner
    if isinstance(operator, Sum):
        first, second = _diagonal_terms(operator.first), _diagonal_terms(operator.second)
        return second if first is None else first if second is None else first + second
    return None


def kept(values: Tensor, vectors: Tensor, damping: float, complement: bool, notes: dict[str, Any]) -> State:
    """The state that holds pairs (``values`` μ, ``vectors`` [parameter, rank]) of the undamped operator.

    Raises IndefiniteError where μ + δ ≤ 0, ValueError if there is to be a complement and no damping.
    """
    complement = complement and len(values) < len(vectors)  # where all directions are kept nothing lies outside
    if complement and damping <= 0:
        raise ValueError(
            "a low-rank answer says nothing outside the directions that it keeps, unless damping does: "
            "use a positive damping, complement=False, or ConjugateGradient."
        )
    damped = values + damping
    if len(damped) and float(damped.min()) <= 0:
        raise indefinite(float(damped.min()))
    rest = torch.tensor([1.0 / damping if complement else 0.0], dtype=torch.float64, device="cpu")
    low = min(float(damped.min()), damping) if complement else float(damped.min())
    notes = {**notes, "rank": len(values), "complement": complement}
    return State({"vectors": vectors, "values": damped, "complement": rest}, low, float(damped.max()), notes)


def solved(operator: AbstractOperator, state: State, v: Tensor, tolerance: float) -> Solution:
    """The formula above, with a certificate from at most ``PROBES`` products, however many columns there are.

    So many columns have their own residuals. For more it is the root mean square over them, estimated from ``PROBES``
    combinations with random signs (Hutchinson 1990): to a quarter of its size where all residuals point the same way.
    """
    v = v.double()
    vectors, rest = state.tensors["vectors"], float(state.tensors["complement"])
    inside = vectors.T @ v
    value = vectors @ (inside / state.tensors["values"][:, None])
    if rest:
        value += rest * (v - vectors @ inside)
    few = v.shape[1] <= PROBES
    columns = relative_residual(operator, value, v) if few else _estimated(operator, value, v)
    converged = np.isfinite(columns) & (columns <= tolerance)
    notes = {**state.notes, "residual": "exact" if few else "root mean square, estimated"}
    return Solution(value, converged, columns, 1, state.lambda_min, state.lambda_max, notes)


def _estimated(operator: AbstractOperator, value: Tensor, v: Tensor) -> npt.NDArray[np.float64]:
    """The root mean square of the columns' relative residuals, for each; 0 where a column is 0."""
    norms = v.norm(dim=0)
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (v.shape[1], PROBES), generator=generator, device="cpu").double() * 2 - 1
    inverse = torch.where(norms > 0, 1 / norms.clamp(min=torch.finfo(v.dtype).tiny), 0.0)
    weights = inverse[:, None] * signs.to(v)
    left = v @ weights - operator.matmat((value @ weights).to(operator.dtype)).to(v)
    found = left.square().sum(0).mean().div(max(1, int((norms > 0).sum()))).sqrt()
    return torch.where(norms > 0, found, 0.0).cpu().numpy()

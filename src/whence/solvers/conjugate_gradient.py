"""Preconditioned conjugate gradients for many right-hand sides at once (Hestenes and Stiefel 1952)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper
from whence.solvers.dense import LARGEST, dense_matrix
from whence.solvers.solver import AbstractSolver, IndefiniteError, Solution, State, indefinite, relative_residual
from whence.solvers.spectrum import extremes

Preconditioner: TypeAlias = Literal["auto", "dense", "diagonal", "none"]
DENSE_UP_TO = 5_000
LOOKING = 40


@final
@dataclass(frozen=True)
class ConjugateGradient(AbstractSolver):
    """Minimise ½xᵀAx − vᵀx from x = 0; the recursion runs in float64, products in the operator's precision.

    ``tolerance``: on the relative residual; the one reported is computed anew from the operator at the end.
    ``max_iterations``: a column that has not converged by then says so in the result, with a warning.
    ``preconditioner``: ``"dense"``: Cholesky factor of the Gauss-Newton relative of A; ``"diagonal"``: its diagonal;
    ``"auto"``: dense up to 5,000 parameters, else diagonal; ``"none"``.
    ``lanczos``: products spent once on estimating λ_min and λ_max; 0: only what the search directions show.
    Raises IndefiniteError where pᵀAp ≤ 0 shows that A has no minimum.
    """

    tolerance: float = 1e-5
    max_iterations: int = 200
    preconditioner: Preconditioner = "auto"
    lanczos: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must lie between 0 and 1, not {self.tolerance}")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, not {self.max_iterations}")
        if self.preconditioner not in ("auto", "dense", "diagonal", "none"):
            raise ValueError(f"preconditioner must be auto, dense, diagonal or none, not {self.preconditioner!r}")

    @property
    def name(self) -> str:
        return f"conjugate gradients ({self.preconditioner} preconditioner)"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        kind = self.preconditioner
        if kind == "auto":
            kind = "dense" if operator.size <= DENSE_UP_TO else "diagonal"
        tensors: dict[str, Tensor] = {}
        if kind == "dense":
            tensors["factor"] = _factor(operator.surrogate(), mapper)
        elif kind == "diagonal":
            diagonal = operator.surrogate().diagonal().double()
            tensors["diagonal"] = diagonal.clamp(min=1e-12 * float(diagonal.max()))
        if self.lanczos == 0:
            return State(tensors, notes={"preconditioner": kind, "spectrum": "search directions"})
        seen = extremes(operator, self.lanczos)
        if seen.surely_negative:
            raise indefinite(seen.lambda_min, f"smallest eigenvalue (Lanczos, {seen.steps} products)", seen.error_min)
        notes = {"preconditioner": kind, "spectrum": f"Lanczos, {seen.steps} products"}
        return State(tensors, seen.lambda_min, seen.lambda_max, notes)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        x, r = torch.zeros_like(v), v.clone()
        z = _precondition(state, r)
        p, rho = z.clone(), (r * z).sum(0)
        goal = self.tolerance * v.norm(dim=0)
        active = r.norm(dim=0) > goal
        low, high = float("inf"), float("-inf")
        iterations = 0
        while bool(active.any()) and iterations < self.max_iterations:
            columns = active.nonzero()[:, 0]
            direction = p[:, columns]
            product = operator.matmat(direction.to(operator.dtype)).double()
            curvature = (direction * product).sum(0)
            rayleigh = curvature / direction.square().sum(0)
            low, high = min(low, float(rayleigh.min())), max(high, float(rayleigh.max()))
            if not bool(torch.isfinite(curvature).all()):
                raise ValueError(
                    "a Hessian-vector product is NaN or infinite: the loss is not twice differentiable here"
                )
            if low <= 0:
                raise _indefinite_along(operator, low)
            step = rho[columns] / curvature
            x[:, columns] += step * direction
            r[:, columns] -= step * product
            iterations += 1
            z = _precondition(state, r[:, columns])
            fresh = (r[:, columns] * z).sum(0)
            p[:, columns] = z + (fresh / rho[columns]) * direction
            rho[columns] = fresh
            active = active & (r.norm(dim=0) > goal)
        residual = relative_residual(operator, x, v)
        # float32 products leave a floor under the true residual, so it may exceed the recursion's a little
        converged = np.isfinite(residual) & (residual <= 1.5 * self.tolerance)
        seen_min = state.lambda_min if state.lambda_min is not None else (low if iterations else None)
        seen_max = state.lambda_max if state.lambda_max is not None else (high if iterations else None)
        return Solution(x, converged, residual, iterations, seen_min, seen_max, state.notes)


def _factor(surrogate: AbstractOperator, mapper: AbstractMapper | None) -> Tensor:
    """Cholesky factor of the positive semi-definite relative; where that is flat, a ridge, since A need not be."""
    matrix = dense_matrix(surrogate, mapper, LARGEST)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        ridge = 1e-9 * float(matrix.diagonal().max())
        factor, failed = torch.linalg.cholesky_ex(matrix + ridge * torch.eye(len(matrix), dtype=matrix.dtype))
    if int(failed):  # an operator that is its own relative, and indefinite
        raise indefinite(float(torch.linalg.eigvalsh(matrix)[0]))
    found: Tensor = factor
    return found


def _indefinite_along(operator: AbstractOperator, low: float) -> IndefiniteError:
    """A search direction only bounds the smallest eigenvalue, and the damping to name needs the eigenvalue itself."""
    seen = extremes(operator, LOOKING)
    if seen.lambda_min < low:
        return indefinite(seen.lambda_min, f"smallest eigenvalue (Lanczos, {seen.steps} products)", seen.error_min)
    return indefinite(low, "curvature along a search direction (a bound on the smallest eigenvalue)")


def _precondition(state: State, r: Tensor) -> Tensor:
    if "factor" in state.tensors:
        return torch.cholesky_solve(r, state.tensors["factor"])
    if "diagonal" in state.tensors:
        return r / state.tensors["diagonal"][:, None]
    return r.clone()

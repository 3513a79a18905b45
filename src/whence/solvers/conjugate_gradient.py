"""Preconditioned conjugate gradients for many right-hand sides at once (Hestenes and Stiefel 1952)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

import numpy as np
import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper
from whence.solvers.dense import LARGEST, dense_matrix
from whence.solvers.factored import Factored, structured
from whence.solvers.recursion import conjugate_gradients
from whence.solvers.solver import AbstractSolver, IndefiniteError, Solution, State, indefinite, relative_residual
from whence.solvers.spectrum import extremes
from whence.solvers.structured_inverse import inverse_of

Preconditioner: TypeAlias = Literal["auto", "sampled", "dense", "ekfac", "diagonal", "none"]
DENSE_UP_TO = 5_000
LOOKING = 40
RIDGE = 1e-8
PREFIX = "preconditioner."


@final
@dataclass(frozen=True)
class ConjugateGradient(AbstractSolver):
    """Minimise ½xᵀAx − vᵀx from x = 0; the recursion runs in float64, products in the operator's precision.

    ``tolerance``: on the relative residual; the one reported is computed anew from the operator at the end.
    ``max_iterations``: a column that has not converged by then says so in the result, with a warning.
    ``preconditioner``: the inverse of a relative of A, with its penalty and damping:
    ``"sampled"``: the Gauss-Newton matrix of the examples that carry most of the curvature, held as few rows where the
    model is large (:mod:`whence.curvature.sampled`); ``"dense"``: the Gauss-Newton matrix of all examples;
    ``"ekfac"``: EKFAC; ``"diagonal"``: the diagonal of the Gauss-Newton matrix; ``"none"``.
    ``"auto"``: A's own inverse where its structure gives one, else sampled; for operators that have no such relative
    (a matrix) dense up to 5,000 parameters, else diagonal.
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
        kinds = get_args(Preconditioner)
        if self.preconditioner not in kinds:
            raise ValueError(
                f"preconditioner must be {', '.join(kinds[:-1])} or {kinds[-1]}, not {self.preconditioner!r}"
            )

    @property
    def name(self) -> str:
        return f"conjugate gradients ({self.preconditioner} preconditioner)"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        tensors, notes = self._preconditioner(operator, mapper)
        if self.lanczos == 0:
            return State(tensors, notes={**notes, "spectrum": "search directions"})
        seen = extremes(operator, self.lanczos)
        if seen.surely_negative:
            raise indefinite(seen.lambda_min, f"smallest eigenvalue (Lanczos, {seen.steps} products)", seen.error_min)
        notes["spectrum"] = f"Lanczos, {seen.steps} products"
        return State(tensors, seen.lambda_min, seen.lambda_max, notes)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        run = conjugate_gradients(
            lambda x: operator.matmat(x.to(operator.dtype)).double(),
            _applied(state.tensors),
            v,
            self.tolerance,
            self.max_iterations,
        )
        if run.low <= 0:
            raise _indefinite_along(operator, run.low)
        residual = relative_residual(operator, run.x, v)
        # float32 products leave a floor under the true residual, so it may exceed the recursion's a little
        converged = np.isfinite(residual) & (residual <= 1.5 * self.tolerance)
        seen_min = state.lambda_min if state.lambda_min is not None else (run.low if run.iterations else None)
        seen_max = state.lambda_max if state.lambda_max is not None else (run.high if run.iterations else None)
        return Solution(run.x, converged, residual, run.iterations, seen_min, seen_max, state.notes)

    def _preconditioner(
        self, operator: AbstractOperator, mapper: AbstractMapper | None
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors of the preconditioner, and the notes that name it."""
        kind, relative = self.preconditioner, operator
        if kind in ("sampled", "ekfac"):
            relative = operator.surrogate("ekfac" if kind == "ekfac" else "sampled-gauss-newton")
            if not structured(relative):
                raise TypeError(
                    f"preconditioner={kind!r} is worked out from a task and its data, and this operator "
                    f"({type(operator).__name__}) knows none: use 'dense', 'diagonal' or 'none'."
                )
        elif kind == "auto" and not structured(operator):
            relative = operator.surrogate("sampled-gauss-newton")
        if kind in ("auto", "sampled", "ekfac") and structured(relative):
            state = _inverted(relative, mapper)
            name = "its own structure" if relative is operator else "sampled" if kind == "auto" else kind
            tensors = {PREFIX + key: value for key, value in state.tensors.items()}
            return tensors, {"preconditioner": name, **state.notes}
        if kind == "auto":
            kind = "dense" if operator.size <= DENSE_UP_TO else "diagonal"
        if kind == "dense":
            return {"factor": _factor(operator.surrogate(), mapper)}, {"preconditioner": kind}
        if kind == "diagonal":
            diagonal = operator.surrogate().diagonal().double()
            return {"diagonal": diagonal.clamp(min=1e-12 * float(diagonal.max()))}, {"preconditioner": kind}
        return {}, {"preconditioner": kind}


def _applied(tensors: Mapping[str, Tensor]) -> Any:
    """The preconditioner as a function of residuals [parameter, k]."""
    own = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)}
    if own:
        return inverse_of(own)
    if "factor" in tensors:
        return lambda r: cholesky.solve(tensors["factor"], r)
    if "diagonal" in tensors:
        return lambda r: r / tensors["diagonal"][:, None]
    return lambda r: r.clone()


def _inverted(relative: AbstractOperator, mapper: AbstractMapper | None) -> State:
    """The inverse of a structured relative; where that is flat, with a ridge, since A need not be."""
    relative = relative.estimated(mapper)
    try:
        return Factored().prepare(relative, mapper)
    except IndefiniteError:
        return Factored().prepare(relative.damped(RIDGE * float(relative.diagonal().max())), mapper)


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

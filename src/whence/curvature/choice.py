"""Which curvature a method uses: a name, or an operator that was worked out before."""

from __future__ import annotations

from typing import Literal, TypeAlias

from whence.curvature.gauss_newton import GaussNewton
from whence.curvature.hessian import Hessian
from whence.curvature.operator import AbstractOperator, Matrix
from whence.objective import Objective

Curvature: TypeAlias = Literal["hessian", "gauss-newton"] | AbstractOperator


def operator_of(choice: Curvature, objective: Objective) -> AbstractOperator:
    """The undamped curvature of the objective, penalty included; raises ValueError for another name or model."""
    if isinstance(choice, AbstractOperator):
        if choice.size != len(objective.theta):
            raise ValueError(f"the curvature has {choice.size} parameters, the model {len(objective.theta)}")
        if isinstance(choice, Matrix) and choice.checkpoint not in (None, objective.checkpoint):
            raise ValueError("the curvature matrix was computed at another checkpoint; compute it anew")
        return choice
    if choice == "hessian":
        return Hessian(objective)
    if choice == "gauss-newton":
        return GaussNewton(objective)
    raise ValueError(f"curvature must be 'hessian', 'gauss-newton' or an operator, not {choice!r}")

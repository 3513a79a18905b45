"""How often a method passes over the data while it is fitted, and so whether timing its batches pays."""

from __future__ import annotations

from whence.curvature.choice import Curvature, name_of
from whence.solvers.dense import Dense
from whence.solvers.eigen import Eigen
from whence.solvers.factored import Factored
from whence.solvers.solver import AbstractSolver


def passes_often(solver: AbstractSolver, curvature: Curvature) -> bool:
    """Structured curvature takes a pass or two; so does a dense matrix, unless it is the Hessian, row by row."""
    if isinstance(solver, Factored):
        return False
    return not isinstance(solver, Dense | Eigen) or name_of(curvature) == "hessian"

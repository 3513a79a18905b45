"""The methods and solvers that have a name on the command line. Adding one is a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import whence
from whence.cli.errors import CommandError

if TYPE_CHECKING:
    from whence.attribution.attributor import AbstractAttributor

MethodName: TypeAlias = Literal[
    "influence",
    "leverage-corrected",
    "representer-points",
    "knn-shapley",
    "gradient-dot",
    "gradient-norm",
    "loss",
    "random",
]
SolverName: TypeAlias = Literal["dense", "cg", "lissa"]
DampingWord: TypeAlias = float | Literal["auto"]

METHODS: dict[str, str] = {
    "influence": "InfluenceFunction",
    "leverage-corrected": "ApproximateLeaveOneOut",
    "representer-points": "RepresenterPoints",
    "knn-shapley": "KNNShapley",
    "gradient-dot": "GradientDot",
    "gradient-norm": "GradientNorm",
    "loss": "Loss",
    "random": "Random",
}
SOLVERS: dict[str, str] = {"dense": "Dense", "cg": "ConjugateGradient", "lissa": "LiSSA"}
SOLVING = ("influence", "leverage-corrected")


def build(name: MethodName, damping: DampingWord | None = None, solver: SolverName | None = None) -> AbstractAttributor:
    """The method with these options, its own defaults where they are None.

    Raises CommandError for an option that the method has not, rather than leave it out in silence.
    """
    options: dict[str, Any] = {}
    if damping is not None:
        options["damping"] = damping
    if solver is not None:
        options["solver"] = getattr(whence, SOLVERS[solver])()
    if options and name not in SOLVING:
        given = " and ".join(f"--{option}" for option in options)
        raise CommandError(f"the method {name!r} solves no linear system; leave {given} out, or use influence")
    method: AbstractAttributor = getattr(whence, METHODS[name])(**options)
    return method

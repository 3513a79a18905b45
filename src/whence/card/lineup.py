"""Which methods stand on a card, with the settings that the model's size and its refits ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.baselines import GradientDot, GradientNorm, Loss, Random
from whence.attribution.influence import InfluenceFunction
from whence.attribution.similarity import Similarity
from whence.attribution.trak import TRAK
from whence.retraining.refit import AbstractRefit
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.dense import Dense
from whence.solvers.eigen import Eigen
from whence.solvers.solver import AbstractSolver

DIRECT_UP_TO = 5_000
"""Parameters up to which a dense factor is the fastest way."""


@dataclass(frozen=True)
class Subject:
    """What a method's settings hang on: the sizes of the model and of the training set, and the refits' damping."""

    parameters: int
    examples: int
    damping: float

    @property
    def small(self) -> bool:
        return self.parameters <= DIRECT_UP_TO

    @property
    def solver(self) -> AbstractSolver:
        """Without damping a flat direction (a softmax has one) must be dropped."""
        if not self.small:
            return ConjugateGradient(tolerance=1e-4)
        return Dense() if self.damping > 0 else Eigen()


METHODS: dict[str, Callable[[Subject], AbstractAttributor | str]] = {
    "influence": lambda s: InfluenceFunction(s.solver, s.damping),
    "leverage-corrected": lambda s: (
        ApproximateLeaveOneOut(s.solver, s.damping)
        if s.small
        else f"it solves for every training example, affordable up to {DIRECT_UP_TO:,} parameters"
    ),
    "gauss-newton": lambda s: InfluenceFunction(s.solver, s.damping, "gauss-newton"),
    "trak": lambda s: (
        TRAK(dimension=_dimension(s))
        if _dimension(s) >= 8
        else f"a projection of {s.parameters} parameters and {s.examples} examples would have fewer than 8 dimensions"
    ),
    "gradient-dot": lambda s: GradientDot(),
    "similarity": lambda s: Similarity("output"),
    "gradient-norm": lambda s: GradientNorm(),
    "loss": lambda s: Loss(),
    "random": lambda s: Random(),
}
"""Adding a method is a row: its settings, or why it is left out."""


def lineup(subject: Subject, names: Sequence[str] = ()) -> tuple[dict[str, AbstractAttributor], dict[str, str]]:
    """(methods by name, reasons of those that are left out), all of them or those of ``names``.

    Raises ValueError for a name that is not among them.
    """
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(f"there is no method {unknown[0]!r} on a card; choose among {', '.join(METHODS)}")
    methods: dict[str, AbstractAttributor] = {}
    left_out: dict[str, str] = {}
    for name in names or METHODS:
        made: Any = METHODS[name](subject)
        if isinstance(made, str):
            left_out[name] = made
        else:
            methods[name] = made
    return methods, left_out


def damping_of(refit: AbstractRefit) -> float:
    """At which damping methods predict the refit: that of its proximal term, 0 where it has none."""
    return refit.damping or 0.0


def _dimension(subject: Subject) -> int:
    """Well below the numbers of parameters and of examples, as TRAK asks for."""
    return min(512, subject.parameters // 4, subject.examples // 4)

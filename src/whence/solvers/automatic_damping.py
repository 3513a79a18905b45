"""``damping="auto"``: as much as the spectrum asks for, and why.

The damped curvature must be positive definite, and well enough conditioned for a solve to mean something. With λ_low =
λ_min less what its estimate may be off, and λ_max, the rule is

    δ = max(0, λ_max/κ − λ_low, −2 λ_low),   κ = 10,000

rounded up to two digits. The first term adds nothing where the condition number is at most κ as it is: a strict,
well-conditioned minimum needs no damping, and undamped influence is what its refits follow. The second brings it down
to κ: at κ·ε ≈ 1e-3 float32 products still settle a solution to three digits, and conjugate gradients without a
preconditioner take some √κ/2·ln(2/tolerance) ≈ 600 products. The third lifts the direction of most negative curvature
as far above 0 as it lay below; Koh and Liang's code takes about |λ_min| itself, which leaves it near 0, where the
answer is anybody's.

Damping is a choice of the question: the scores predict proximal refits of that strength (Bae et al. 2022). This rule
gives the smallest one that can be answered; ``whence.damping_sweep`` shows what others would say.

λ_min and λ_max come from Lanczos (:mod:`.spectrum`), started from a fixed seed, so the rule is deterministic. It goes
on until the residual of λ_min's Ritz pair is a quarter of λ_max/κ, below which it no longer matters, for at least
``LEAST`` and at most ``PRODUCTS`` products; the residual that is left is added to δ. A Ritz value lies above λ_min, and
its residual is an estimate of how far, no proof; should the damped curvature prove indefinite all the same, the solve
raises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from whence.curvature.operator import AbstractOperator, Matrix
from whence.mapping import AbstractMapper
from whence.solvers.dense import Dense, dense_matrix
from whence.solvers.eigen import Eigen
from whence.solvers.solver import AbstractSolver
from whence.solvers.spectrum import Extremes, extremes

Damping: TypeAlias = float | Literal["auto"]
KAPPA = 1e4
LEAST, PRODUCTS = 30, 200
NOTE = "automatic_damping"


@dataclass(frozen=True)
class AutomaticDamping:
    """``value``: what is added; ``lambda_min``, with the residual ``error``, and ``lambda_max``: of the undamped
    curvature; ``products``: spent on finding them; ``reason``: the rule's answer in words.
    """

    value: float
    lambda_min: float
    error: float
    lambda_max: float
    products: int
    reason: str


def automatic_damping(operator: AbstractOperator) -> AutomaticDamping:
    """What the rule adds to the undamped ``operator``."""
    seen = extremes(operator, PRODUCTS, largest_within=0.01, smallest_within=0.25 / KAPPA)
    if seen.steps < LEAST:
        seen = extremes(operator, LEAST)
    exact = seen.steps >= operator.size
    error = 0.0 if exact else max(seen.error_min, seen.rounding)
    low, floor = seen.lambda_min - error, seen.lambda_max / KAPPA
    # a spectrum that meets the rule but for rounding needs nothing
    added = max(floor - low, -2 * low)
    value = _rounded_up(added) if added > 1e-9 * seen.lambda_max else 0.0
    return AutomaticDamping(
        value, seen.lambda_min, error, seen.lambda_max, seen.steps, _reason(seen, low, floor, value)
    )


def settled(
    damping: Damping, operator: AbstractOperator, solver: AbstractSolver, mapper: AbstractMapper
) -> tuple[AbstractOperator, float, dict[str, Any]]:
    """The undamped operator to work with, what is added to it, and the notes that say why.

    Direct solvers need the matrix anyway, so the rule's products are taken from it and it is worked out once.
    Raises ValueError for a damping that is neither a number nor "auto".
    """
    if not isinstance(damping, str):
        return operator, damping, {}
    if damping != "auto":
        raise ValueError(f"damping must be a number or 'auto', not {damping!r}")
    if isinstance(solver, Dense | Eigen) and not isinstance(operator, Matrix):
        operator = Matrix(dense_matrix(operator, mapper, solver.largest))
    found = automatic_damping(operator)
    return operator, found.value, {NOTE: asdict(found)}


def value_of(damping: Damping, notes: Mapping[str, Any]) -> float:
    """The damping as a number: itself, or what was found when the method was prepared."""
    return float(notes[NOTE]["value"]) if isinstance(damping, str) else damping


def _reason(seen: Extremes, low: float, floor: float, value: float) -> str:
    within = f" (to within {seen.lambda_min - low:.1g})" if low < seen.lambda_min else ""
    known = f"λ_min = {seen.lambda_min:.2g}{within}, λ_max = {seen.lambda_max:.3g}"
    if value == 0:
        return f"{known}: positive definite with a condition number of at most {KAPPA:,.0f}, so nothing is added"
    if -2 * low > floor - low:
        return (
            f"{known}: {value:g} is added, twice the size of the smallest eigenvalue, so that the direction of most "
            "negative curvature ends as far above 0 as it lay below"
        )
    return (
        f"{known}: {value:g} is added, so that the smallest eigenvalue is at least λ_max/{KAPPA:,.0f} = {floor:.2g} "
        f"and the condition number at most {KAPPA:,.0f}"
    )


def _rounded_up(value: float) -> float:
    """To two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.3g}")

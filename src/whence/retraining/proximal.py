"""The proximal refit: what damped influence predicts, at any checkpoint, converged or not.

    θ₋R = argmin  F₋R(θ) − ∇F(θ̂)·(θ − θ̂) + ½ λ ‖θ − θ̂‖²

The linear term makes θ̂ stationary for the full data, the proximal term keeps the answer near; this is the proximal
response of Bae et al. (NeurIPS 2022, "If influence functions are the answer, then what is the question?", Eq. 5) with
a Euclidean proximity in parameters. Its first-order answer is damped influence, its first Newton step the
leverage-corrected form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from whence.curvature.choice import Curvature, operator_of
from whence.gradients import functional
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.descent import descend
from whence.retraining.refit import AbstractRefit, Kind, Trained, weights_without
from whence.retraining.shared import factorise, preconditioner, removal_gradient


@final
@dataclass(frozen=True)
class Proximal(AbstractRefit):
    """``strength``: λ of the proximal term, the damping whose influence it is the truth of.

    ``tolerance``: on ‖∇‖ relative to the gradient that the removal causes at θ̂; ``curvature``: of the shared factor,
    ``"gauss-newton"``, ``"hessian"`` or an operator worked out before; it changes the speed, not the answer.
    """

    strength: float = 0.01
    tolerance: float = 1e-6
    max_evaluations: int = 100
    curvature: Curvature = "gauss-newton"

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ValueError(f"strength must be positive, not {self.strength}; without a proximal term use Converged")

    @property
    def kind(self) -> Kind:
        return "proximal"

    @property
    def damping(self) -> float | None:
        return self.strength

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        here = functional.evaluate_objective(objective, objective.theta)
        return {
            "factor": factorise(operator_of(self.curvature, objective), objective, self.strength, mapper),
            "gradient": here.gradient,
            "value": torch.tensor(here.value, dtype=torch.float64),
            "mean_gradient": functional.mean_gradient(objective),
        }

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return Trained(objective.theta, 0.0, 0.0, True)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        anchor, linear = objective.theta, shared["gradient"]
        weights = weights_without(objective, removed)

        def evaluate(theta: Tensor) -> functional.Point:
            point = functional.evaluate_objective(objective, theta, weights)
            step = theta - anchor
            value = point.value - float(linear @ step) + 0.5 * self.strength * float(step @ step)
            return functional.Point(value, point.gradient - linear + self.strength * step)

        pull = removal_gradient(objective, shared, removed)
        precondition = preconditioner(objective, shared["factor"], removed)
        first = anchor - precondition(pull)
        goal = self.tolerance * float(pull.norm())
        found = descend(evaluate, (first, evaluate(first)), precondition, goal, self.max_evaluations)
        return Trained(found.theta, found.gradient_norm, found.evaluations + 1, found.converged)

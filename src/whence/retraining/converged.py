"""The converged refit: from θ̂, a certified minimum, to the minimum without the examples. No proximal term.

θ̂ must be stationary: otherwise the refit's descent would mix the removal's effect with the training that was left to
do. Along nearly flat directions the answer moves far, and no first-order method predicts that well; the distance
moved and the gradient norm are reported with every refit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

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
class Converged(AbstractRefit):
    """``tolerance``: on ‖∇‖ relative to the gradient that the removal causes; ``stationary``: the largest ‖∇F(θ̂)‖
    that passes for a minimum; ``ridge``: added to the shared factor only, so it changes the speed, not the answer.
    """

    tolerance: float = 1e-5
    max_evaluations: int = 500
    stationary: float = 1e-6
    ridge: float = 1e-4
    curvature: Curvature = "gauss-newton"

    @property
    def kind(self) -> Kind:
        return "converged"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        norm = float(functional.evaluate_objective(objective, objective.theta).gradient.norm())
        if norm > self.stationary:
            raise ValueError(
                f"the model is not at a minimum: its gradient norm is {norm:.2g}, above {self.stationary:.2g}. "
                "Train it to convergence first (retraining.newton.Newton), or ask for the Proximal refit."
            )
        factor = factorise(operator_of(self.curvature, objective), objective, self.ridge, mapper)
        return {"factor": factor, "mean_gradient": functional.mean_gradient(objective)}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return Trained(objective.theta, 0.0, 0.0, True)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        weights = weights_without(objective, removed)

        def evaluate(theta: Tensor) -> functional.Point:
            return functional.evaluate_objective(objective, theta, weights)

        pull = removal_gradient(objective, shared, removed)
        precondition = preconditioner(objective, shared["factor"], removed)
        goal = self.tolerance * float(pull.norm())
        here = evaluate(objective.theta)
        found = descend(evaluate, (objective.theta, here), precondition, goal, self.max_evaluations)
        return Trained(found.theta, found.gradient_norm, found.evaluations + 1, found.converged)

"""To a certified minimum: L-BFGS preconditioned by the dense Gauss-Newton factor, renewed on the way down.

The valley of a small network is long and curved. Trust-region Newton-CG needs hundreds of steps of many Hessian
products each; here a step costs one or two gradients, and the factor (one pass of per-layer Jacobians and a Cholesky
factorisation) is renewed every ``refresh`` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.curvature.gauss_newton import GaussNewton
from whence.gradients import functional
from whence.objective import Objective
from whence.retraining.descent import Precondition, descend
from whence.retraining.refit import AbstractRecipe, Trained


@final
@dataclass(frozen=True)
class Newton(AbstractRecipe):
    """Minimise the objective until ‖∇F‖ ≤ ``tolerance``.

    ``max_evaluations``: full-data gradients to spend at most; ``refresh``: steps between factorisations;
    ``ridge``: added to the Gauss-Newton matrix while ‖∇F‖ > 1e-3, less in proportion below.
    """

    tolerance: float = 1e-9
    max_evaluations: int = 5000
    refresh: int = 50
    ridge: float = 0.01

    def train(
        self,
        objective: Objective,
        weights: Tensor | None = None,
        seed: int = 0,
        state: Mapping[str, Tensor] | None = None,
    ) -> Trained:
        def evaluate(theta: Tensor) -> functional.Point:
            return functional.evaluate_objective(objective, theta, weights)

        start = evaluate(objective.theta)
        latest = [float(start.gradient.norm())]

        def watched(theta: Tensor) -> functional.Point:
            point = evaluate(theta)
            latest[0] = float(point.gradient.norm())
            return point

        def renewed(theta: Tensor, iteration: int) -> Precondition | None:
            return self._factor(objective, theta, latest[0]) if iteration % self.refresh == 0 else None

        found = descend(
            watched,
            (objective.theta, start),
            self._factor(objective, objective.theta, latest[0]),
            self.tolerance,
            self.max_evaluations,
            renewed,
        )
        return Trained(found.theta, found.gradient_norm, found.evaluations + 1, found.converged)

    def _factor(self, objective: Objective, theta: Tensor, norm: float) -> Callable[[Tensor], Tensor]:
        matrix = GaussNewton(replace(objective, theta=theta)).dense()
        ridge = self.ridge * min(1.0, norm / 1e-3) + 1e-9 * float(matrix.diagonal().max())
        factor = torch.linalg.cholesky(matrix + ridge * torch.eye(len(matrix), dtype=matrix.dtype))
        return lambda gradient: cholesky.solve(factor, gradient[:, None])[:, 0]

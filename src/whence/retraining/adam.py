"""Adam on minibatches (Kingma and Ba 2015) with example weights: a removed example keeps its place in the order.

A batch's loss is Σ w_i ℓ_i / Σ w_i over its rows (mean objective), plus the penalty, whose gradient is coupled as in
``torch.optim.Adam``. The order of the data depends on the seed and the step alone, so a run with and one without an
example see the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.gradients import functional
from whence.objective import Objective
from whence.retraining.refit import AbstractRecipe, Trained, gradient_norm

Schedule: TypeAlias = Literal["constant", "one-cycle"]


@final
@dataclass(frozen=True)
class Adam(AbstractRecipe):
    """``steps`` steps of ``batch_size`` rows.

    ``schedule``: ``"constant"`` with ``drops`` ((step, factor), ...: from this step on the rate times the factor), or
    ``"one-cycle"`` (cosine up over a third of the steps, cosine down to nothing).
    ``moments``: Adam's β₁ and β₂. ``state`` of a run: first and second moments and the step count.
    """

    steps: int
    batch_size: int = 100
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    drops: tuple[tuple[int, float], ...] = ()
    moments: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError("steps and batch_size must be at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")

    def rate(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        if self.schedule == "one-cycle":
            rise = max(1, round(0.3 * self.steps))
            low = self.learning_rate / 25
            if step < rise:
                return low + (self.learning_rate - low) * 0.5 * (1 - math.cos(math.pi * step / rise))
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))
        passed = [factor for at, factor in self.drops if step >= at]
        return self.learning_rate * (passed[-1] if passed else 1.0)

    def train(
        self,
        objective: Objective,
        weights: Tensor | None = None,
        seed: int = 0,
        state: Mapping[str, Tensor] | None = None,
    ) -> Trained:
        theta = objective.theta.clone()
        first = state["first"].to(theta).clone() if state else torch.zeros_like(theta)
        second = state["second"].to(theta).clone() if state else torch.zeros_like(theta)
        done = int(state["step"]) if state else 0
        beta1, beta2 = self.moments
        for step, positions in enumerate(self._order(objective.count, seed)):
            gradient = _batch_gradient(objective, theta, positions, weights)
            first.mul_(beta1).add_(gradient, alpha=1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            count = done + step + 1
            size = self.rate(step) / (1 - beta1**count)
            theta -= size * first / ((second / (1 - beta2**count)).sqrt() + 1e-8)
        moments = {"first": first, "second": second, "step": torch.tensor(done + self.steps)}
        norm = gradient_norm(objective, theta, weights)
        evaluations = self.steps * min(self.batch_size, objective.count) / objective.count
        return Trained(theta, norm, evaluations, bool(torch.isfinite(theta).all()), moments)

    def for_steps(self, steps: int, learning_rate: float) -> Adam:
        """The same recipe going on for some steps at one rate."""
        return replace(self, steps=steps, learning_rate=learning_rate, schedule="constant", drops=())

    def _order(self, count: int, seed: int) -> list[npt.NDArray[np.int64]]:
        generator = np.random.default_rng(seed)
        size = min(self.batch_size, count)
        batches: list[npt.NDArray[np.int64]] = []
        while len(batches) < self.steps:
            order = generator.permutation(count)
            batches += [np.sort(order[start : start + size]) for start in range(0, count - size + 1, size)]
        return batches[: self.steps]


def _batch_gradient(
    objective: Objective, theta: Tensor, positions: npt.NDArray[np.int64], weights: Tensor | None
) -> Tensor:
    """The gradient of the batch's weighted loss and the penalty; for a sum the loss is scaled up."""
    part = objective.train[positions]
    chosen = None if weights is None else weights[torch.from_numpy(positions)]
    gradient = functional.summed(objective.task, theta, part, lambda window: _cut(chosen, window), len(part))[1]
    total = float(len(part) if chosen is None else chosen.sum())
    factor = (1.0 / total if total > 0 else 0.0) if objective.mean else objective.count / len(part)
    return factor * gradient + objective.decay * theta


def _cut(weights: Tensor | None, window: slice) -> Tensor | None:
    return None if weights is None else weights[window]

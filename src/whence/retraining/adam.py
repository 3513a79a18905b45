"""Adam on minibatches (Kingma and Ba 2015) with example weights: a removed example keeps its place in the order.

A batch's loss and the order of the data are those of :mod:`.minibatches`; the penalty's gradient is coupled as in
``torch.optim.Adam``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.objective import Objective
from whence.retraining.minibatches import batch_gradient, batches
from whence.retraining.refit import AbstractRecipe, Trained, gradient_norm
from whence.retraining.resident import resident
from whence.retraining.stacked import Stack

Gradient: TypeAlias = Callable[[Tensor, npt.NDArray[np.int64]], Tensor]
Schedule: TypeAlias = Literal["constant", "one-cycle"]


@final
@dataclass(frozen=True)
class Adam(AbstractRecipe):
    """``steps`` steps of ``batch_size`` rows.

    ``schedule``: ``"constant"`` with ``drops`` ((step, factor), ...: from this step on the rate times the factor), or
    ``"one-cycle"`` (cosine up over a third of the steps, cosine down to nothing).
    ``moments``: Adam's β₁ and β₂. ``state`` of a run: first and second moments and the step count.
    ``window``: only the steps from the first up to the second number, see :meth:`between`.
    """

    steps: int
    batch_size: int = 100
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    drops: tuple[tuple[int, float], ...] = ()
    moments: tuple[float, float] = (0.9, 0.999)
    window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError("steps and batch_size must be at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")
        if self.window is not None and not 0 <= self.window[0] < self.window[1] <= self.steps:
            raise ValueError(f"window {self.window} must lie within the {self.steps} steps and not be empty")

    @property
    def _span(self) -> tuple[int, int]:
        return self.window or (0, self.steps)

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
        objective = resident(objective)
        theta, moments = self._stepped(
            objective.theta.clone(), objective.count, seed, state, partial(batch_gradient, objective, weights)
        )
        return self._trained(objective, theta, moments, weights)

    def train_many(
        self, objective: Objective, weights: Tensor, seed: int = 0, state: Mapping[str, Tensor] | None = None
    ) -> list[Trained]:
        """One model for each row of ``weights`` [model, n], all stepped at once from the same θ and ``state``.

        They equal models trained one by one to rounding. Raises RuntimeError if they cannot be stacked.
        """
        if len(weights) < 2:
            return super().train_many(objective, weights, seed, state)
        objective = resident(objective)
        stack = Stack(objective, weights.to(objective.theta))
        start = objective.theta.repeat(len(weights), 1)
        thetas, moments = self._stepped(start, objective.count, seed, state, stack.gradient)
        found = []
        for row, (theta, mine) in enumerate(zip(thetas, stack.weights, strict=True)):
            own = {**moments, "first": moments["first"][row], "second": moments["second"][row]}
            found.append(self._trained(objective, theta, own, mine))
        return found

    def _stepped(
        self, theta: Tensor, count: int, seed: int, state: Mapping[str, Tensor] | None, gradient_at: Gradient
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """θ and the state after all steps, of one model [parameter] or of many [model, parameter], in ``theta``."""
        first, second = (
            state[name].to(theta).expand_as(theta).clone() if state else torch.zeros_like(theta)
            for name in ("first", "second")
        )
        done = int(state["step"]) if state else 0
        beta1, beta2 = self.moments
        start, stop = self._span
        for step, positions in zip(range(start, stop), self._order(count, seed), strict=True):
            gradient = gradient_at(theta, positions)
            first.mul_(beta1).add_(gradient, alpha=1 - beta1)
            second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            taken = done + step - start + 1
            size = self.rate(step) / (1 - beta1**taken)
            theta -= size * first / ((second / (1 - beta2**taken)).sqrt() + 1e-8)
        return theta, {"first": first, "second": second, "step": torch.tensor(done + stop - start)}

    def _trained(
        self, objective: Objective, theta: Tensor, moments: Mapping[str, Tensor], weights: Tensor | None
    ) -> Trained:
        norm = gradient_norm(objective, theta, weights)
        start, stop = self._span
        evaluations = (stop - start) * min(self.batch_size, objective.count) / objective.count
        return Trained(theta, norm, evaluations, bool(torch.isfinite(theta).all()), moments)

    def for_steps(self, steps: int, learning_rate: float) -> Adam:
        """The same recipe going on for some steps at one rate."""
        return replace(self, steps=steps, learning_rate=learning_rate, schedule="constant", drops=(), window=None)

    def between(self, start: int, stop: int) -> Adam:
        """The part of this recipe from step ``start`` up to ``stop``, with their batches and rates.

        Given θ and the state after ``start`` steps it goes on as the whole recipe would, bit for bit.
        """
        return replace(self, window=(start, stop))

    def _order(self, count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
        """The batches of the window's steps."""
        return batches(count, self.batch_size, seed, *self._span)

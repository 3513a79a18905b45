"""Plain stochastic gradient descent with example weights, and a record of a run that can be replayed.

    θ_{t+1} = θ_t − η_t ∇F_t(θ_t),    F_t the batch's weighted loss and the penalty (:mod:`.minibatches`)

No momentum, so that a step depends on nothing but θ_t, its batch and its rate: this is the training that unrolled
differentiation (Hara, Nitanda and Maehara, NeurIPS 2019) runs through backwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.objective import Objective
from whence.retraining.minibatches import batch_gradient, batches
from whence.retraining.refit import AbstractRecipe, Trained, gradient_norm
from whence.retraining.resident import resident


@final
@dataclass(frozen=True, eq=False)
class Recording:
    """A run of SGD: each step's ``rates``, the ``ids`` of its batch, and ``thetas`` [k, parameter].

    ``thetas`` holds θ before every ``every``-th step, from the start on, and at last θ after the last step.
    """

    rates: tuple[float, ...]
    ids: tuple[npt.NDArray[Any], ...]
    thetas: Tensor
    every: int = 1

    @property
    def steps(self) -> int:
        return len(self.rates)

    @property
    def end(self) -> Tensor:
        """θ after the last step."""
        return self.thetas[-1]

    def passed(self) -> list[tuple[Tensor, float, int]]:
        """(θ, mean rate, steps) of each piece of the run, as :class:`whence.TracIn` takes checkpoints."""
        found = []
        for number, theta in enumerate(self.thetas[:-1]):
            rates = self.rates[number * self.every : (number + 1) * self.every]
            found.append((theta, sum(rates) / len(rates), len(rates)))
        return found

    def backwards(self, objective: Objective) -> Iterator[tuple[int, Tensor]]:
        """(step, θ before it) from the last step to the first; what was not kept is computed again, piece by piece."""
        for number in range(len(self.thetas) - 2, -1, -1):
            first, stop = number * self.every, min((number + 1) * self.every, self.steps)
            piece = [self.thetas[number].to(objective.theta)]
            for step in range(first, stop - 1):
                positions = np.sort(objective.train.positions(self.ids[step]))
                gradient = batch_gradient(objective, None, piece[-1], positions)
                piece.append(piece[-1] - self.rates[step] * gradient)
            yield from zip(range(stop - 1, first - 1, -1), reversed(piece), strict=True)


@final
@dataclass(frozen=True)
class SGD(AbstractRecipe):
    """``steps`` steps of ``batch_size`` rows at ``learning_rate``, times a factor from a step on: ``drops``
    ((step, factor), ...). It keeps no state between steps.
    """

    steps: int
    batch_size: int = 100
    learning_rate: float = 0.1
    drops: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1:
            raise ValueError("steps and batch_size must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, not {self.learning_rate}")

    def rate(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
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
        theta = objective.theta
        for step, positions in enumerate(self._order(objective, seed)):
            theta = theta - self.rate(step) * batch_gradient(objective, weights, theta, positions)
        evaluations = self.steps * min(self.batch_size, objective.count) / objective.count
        finite = bool(torch.isfinite(theta).all())
        return Trained(theta, gradient_norm(objective, theta, weights), evaluations, finite)

    def record(self, objective: Objective, seed: int = 0, every: int = 1) -> Recording:
        """Train from ``objective.theta`` and keep what a replay needs; θ before every ``every``-th step.

        A larger ``every`` keeps fewer parameters and replays each step once more. Raises ValueError if training
        diverged, or ``every`` is below 1.
        """
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}: θ is kept before every so many steps")
        objective, ids = resident(objective), []
        theta, kept = objective.theta, []
        for step, positions in enumerate(self._order(objective, seed)):
            if step % every == 0:
                kept.append(theta)
            ids.append(objective.train.ids[positions])
            theta = theta - self.rate(step) * batch_gradient(objective, None, theta, positions)
        if not bool(torch.isfinite(theta).all()):
            raise ValueError("training diverged to NaN or infinity; lower the learning rate")
        rates = tuple(self.rate(step) for step in range(self.steps))
        return Recording(rates, tuple(ids), torch.stack([*kept, theta]), every)

    def _order(self, objective: Objective, seed: int) -> Iterator[npt.NDArray[np.int64]]:
        return batches(objective.count, self.batch_size, seed, 0, self.steps)

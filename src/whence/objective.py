"""A task bound to its training set and to one point θ: what is differentiated, solved and refitted.

mean:  F(θ) = (1/n) Σ_i ℓ_i(θ) + ½ Σ_j λ_j θ_j²        removal: n → n−1, λ stays
sum:   F(θ) =       Σ_i ℓ_i(θ) + ½ Σ_j λ_j θ_j²
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence import checks
from whence.batch import Batch
from whence.examples import Examples
from whence.parameters import checkpoint_hash
from whence.task import AbstractTask


@dataclass(frozen=True)
class Objective:
    """``task`` over ``train`` at ``theta`` [parameter]; ``batch_size`` cuts work up and changes no result."""

    task: AbstractTask
    train: Examples
    theta: Tensor
    checkpoint: str
    batch_size: int = 256

    @property
    def count(self) -> int:
        """n, the number of training examples."""
        return len(self.train)

    @property
    def mean(self) -> bool:
        return self.task.objective == "mean"

    @property
    def weight(self) -> float:
        """The factor of one example's loss in the objective: 1/n or 1."""
        return 1.0 / self.count if self.mean else 1.0

    @property
    def removal(self) -> float:
        """The factor of one example's gradient in the step that removes it: 1/(n−1) or 1."""
        return 1.0 / (self.count - 1) if self.mean else 1.0

    @property
    def growth(self) -> float:
        """How much the other examples' loss weighs more after a removal: n/(n−1) or 1."""
        return self.count / (self.count - 1) if self.mean else 1.0

    @property
    def decay(self) -> Tensor:
        """The penalty's coefficients λ [parameter]."""
        return self.task.decay(self.theta)

    @property
    def precision(self) -> str:
        return str(self.theta.dtype).removeprefix("torch.")

    def at(self, theta: Tensor) -> Objective:
        """The same objective at another point."""
        return replace(self, theta=theta)

    def over(self, train: Examples) -> Objective:
        """The same task and point over other examples."""
        return replace(self, train=train)

    def sample(self, positions: npt.NDArray[np.int64]) -> Objective:
        """The same over some of the examples, whose mean is an unbiased estimate; raises TypeError for a sum."""
        if not self.mean:
            raise TypeError("sampling needs objective='mean'; a sum objective would need its own scale")
        return self.over(self.train[positions])


def objective_of(
    task: AbstractTask,
    train: Examples,
    dtype: torch.dtype | None = None,
    seen: Callable[[Batch, Tensor], None] = lambda batch, output: None,
) -> Objective:
    """Freeze a task, check model and data, and bind them.

    ``dtype``: the precision of the work; by default the model's own. ``seen``: see :func:`whence.checks.check_data`.
    Raises ValueError for what :mod:`whence.checks` finds, and for fewer than two training examples.
    """
    return frozen_objective(task.frozen(dtype), train, checkpoint_hash(task.module), seen)


def frozen_objective(
    task: AbstractTask,
    train: Examples,
    checkpoint: str,
    seen: Callable[[Batch, Tensor], None] = lambda batch, output: None,
) -> Objective:
    """The same for a task that is frozen already; ``checkpoint``: the fingerprint of the model it was made of."""
    if len(train) < 2:
        raise ValueError(f"a training set of {len(train)} examples: removing one needs at least two")
    theta = task.parameters()
    checks.check_data(task, theta, train, "training", seen)
    checks.check_repeatable(task, theta, train)
    return Objective(task, train, theta, checkpoint)

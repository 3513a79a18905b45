"""The contracts of retraining: a recipe trains with example weights, a refit says what "without examples" means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from whence.gradients import functional
from whence.mapping import AbstractMapper
from whence.objective import Objective

Kind: TypeAlias = Literal["from_scratch", "continued", "converged", "proximal"]


@dataclass(frozen=True)
class Trained:
    """Parameters [parameter] and what is known of them.

    ``gradient_norm``: ‖∇‖ of what was minimised, computed anew at the end; ``evaluations``: full-data gradients spent;
    ``converged``: whether the stopping rule was met; ``state``: what training needs to go on (an optimiser's moments).
    """

    theta: Tensor
    gradient_norm: float
    evaluations: float
    converged: bool
    state: Mapping[str, Tensor] = field(default_factory=dict)


class AbstractRecipe(ABC):
    """How a model is trained; examples have weights [n], so that removal leaves the order of the data as it is."""

    @abstractmethod
    def train(
        self,
        objective: Objective,
        weights: Tensor | None = None,
        seed: int = 0,
        state: Mapping[str, Tensor] | None = None,
    ) -> Trained:
        """Train from ``objective.theta`` (and an optimiser's ``state``) on the weighted examples."""

    def train_many(
        self, objective: Objective, weights: Tensor, seed: int = 0, state: Mapping[str, Tensor] | None = None
    ) -> list[Trained]:
        """Train one model for each row of ``weights`` [model, n]: one after the other, unless a recipe knows better."""
        return [self.train(objective, row, seed, state) for row in weights]


class AbstractRefit(ABC):
    """How a model is refitted without some examples. The same work without removal is its control."""

    @property
    @abstractmethod
    def kind(self) -> Kind: ...

    @property
    def damping(self) -> float | None:
        """The strength of the proximal term, if there is one."""
        return None

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the work: float64, since an effect is a small difference of two losses."""
        return torch.float64

    @property
    def together(self) -> int:
        """How many refits of one seed are done at once."""
        return 1

    @abstractmethod
    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        """Work that all refits share, as tensors."""

    @abstractmethod
    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        """The model to which refits of this seed are compared: the same work with nothing removed."""

    @abstractmethod
    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        """The model without the examples at the positions ``removed``."""

    def refit_many(
        self, objective: Objective, shared: Mapping[str, Tensor], removed: Sequence[Tensor], seed: int
    ) -> list[Trained]:
        """One model for each of ``removed``: one after the other, unless a refit knows better."""
        return [self.refit(objective, shared, one, seed) for one in removed]


def weights_without(objective: Objective, removed: Tensor) -> Tensor:
    """Example weights [n]: 0 for the removed, 1 for the others."""
    weights = torch.ones(objective.count, dtype=objective.theta.dtype, device=objective.theta.device)
    weights[removed.to(weights.device)] = 0.0
    return weights


def gradient_norm(objective: Objective, theta: Tensor, weights: Tensor | None = None) -> float:
    """‖∇F(θ)‖ over the weighted examples."""
    return float(functional.evaluate_objective(objective, theta, weights).gradient.norm())

"""Refits that train by a recipe: they differ only in where training starts.

The same recipe from the same start with nothing removed is the control.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.refit import AbstractRecipe, AbstractRefit, Trained, weights_without

Precision: TypeAlias = Literal["float64", "float32"]
Start: TypeAlias = tuple[Objective, Mapping[str, Tensor] | None]


@dataclass(frozen=True)
class AbstractByRecipe(AbstractRefit):
    """``recipe``: how the model is trained.

    ``together``: refits of one seed that are trained at once, meant for a GPU (:mod:`whence.retraining.stacked`);
    a chunk of them is on the shelf when all of it is done. ``precision``: float32 is what a GPU is fast in; over many
    steps its rounding may be as large as a weak example's effect. Raises ValueError for another precision or less
    than one at once.
    """

    recipe: AbstractRecipe
    together: int = field(default=1, kw_only=True)
    precision: Precision = field(default="float64", kw_only=True)

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be 'float64' or 'float32', not {self.precision!r}")
        if self.together < 1:
            raise ValueError(
                f"together must be at least 1, not {self.together}: it says how many refits are done at once"
            )

    @abstractmethod
    def start(self, objective: Objective, seed: int) -> Start:
        """The objective at the point where training starts, and the optimiser's state there."""

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        return {}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        there, state = self.start(objective, seed)
        return self.recipe.train(there, None, seed, state)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        there, state = self.start(objective, seed)
        return self.recipe.train(there, weights_without(objective, removed), seed, state)

    def refit_many(
        self, objective: Objective, shared: Mapping[str, Tensor], removed: Sequence[Tensor], seed: int
    ) -> list[Trained]:
        there, state = self.start(objective, seed)
        return self.recipe.train_many(there, weights_without_each(objective, removed), seed, state)


def weights_without_each(objective: Objective, removed: Sequence[Tensor]) -> Tensor:
    """The example weights [removal, n] of several removals."""
    return torch.stack([weights_without(objective, one) for one in removed])

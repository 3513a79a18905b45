"""The continued refit: from the checkpoint with its optimiser state, more steps with the examples weighted 0.

The same steps with nothing removed are the control, and effects are differences to it: at a checkpoint that is not
converged the loss drifts on its own, and Koh and Liang (2017) print that drift but do not subtract it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.refit import (
    AbstractRecipe,
    AbstractRefit,
    Kind,
    Precision,
    Trained,
    check_precision,
    weights_without,
    weights_without_each,
)


@final
@dataclass(frozen=True)
class Continued(AbstractRefit):
    """``recipe``: the further steps; ``state``: the optimiser's state at the checkpoint (``Trained.state``).

    ``together``: refits of one seed that are trained at once, meant for a GPU (:mod:`whence.retraining.stacked`);
    a chunk of them is on the shelf when all of it is done. ``precision``: float32 is what a GPU is fast in; over many
    steps its rounding may be as large as a weak example's effect.
    """

    recipe: AbstractRecipe
    state: Mapping[str, Tensor] = field(default_factory=dict)
    together: int = 1
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        check_precision(self.precision, self.together)

    @property
    def kind(self) -> Kind:
        return "continued"

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        return {}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.recipe.train(objective, None, seed, self.state or None)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        return self.recipe.train(objective, weights_without(objective, removed), seed, self.state or None)

    def refit_many(
        self, objective: Objective, shared: Mapping[str, Tensor], removed: Sequence[Tensor], seed: int
    ) -> list[Trained]:
        return self.recipe.train_many(objective, weights_without_each(objective, removed), seed, self.state or None)

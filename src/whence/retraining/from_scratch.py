"""The refit from scratch: a new initialisation and the whole recipe, with the same seed with and without the examples.

For a model that is not convex two runs end in different minima, so the effect of one example drowns in that
difference unless many seeds are averaged; the truth's own test-retest agreement shows how far that is the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.parameters import vector_of
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
class FromScratch(AbstractRefit):
    """``recipe``: how the model is trained; ``initialise(seed)``: a module with new parameters.

    ``together``: refits of one seed that are trained at once, meant for a GPU (:mod:`whence.retraining.stacked`);
    a chunk of them is on the shelf when all of it is done. ``precision``: float32 is what a GPU is fast in; over many
    steps its rounding may be as large as a weak example's effect.
    """

    recipe: AbstractRecipe
    initialise: Callable[[int], nn.Module]
    together: int = 1
    precision: Precision = "float64"

    def __post_init__(self) -> None:
        check_precision(self.precision, self.together)

    @property
    def kind(self) -> Kind:
        return "from_scratch"

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.precision == "float32" else torch.float64

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        return {}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.recipe.train(self._new(objective, seed), None, seed)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        return self.recipe.train(self._new(objective, seed), weights_without(objective, removed), seed)

    def refit_many(
        self, objective: Objective, shared: Mapping[str, Tensor], removed: Sequence[Tensor], seed: int
    ) -> list[Trained]:
        return self.recipe.train_many(self._new(objective, seed), weights_without_each(objective, removed), seed)

    def _new(self, objective: Objective, seed: int) -> Objective:
        start = vector_of(self.initialise(seed), objective.task.layout)
        if start.shape != objective.theta.shape:
            raise ValueError(f"initialise returned {len(start)} parameters, the model has {len(objective.theta)}")
        return objective.at(start.to(objective.theta))

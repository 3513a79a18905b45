"""The refit from scratch: a new initialisation and the whole recipe, with the same seed with and without the examples.

For a model that is not convex two runs end in different minima, so the effect of one example drowns in that
difference unless many seeds are averaged; the truth's own test-retest agreement shows how far that is the case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.parameters import vector_of
from whence.retraining.refit import AbstractRecipe, AbstractRefit, Kind, Trained, weights_without


@final
@dataclass(frozen=True)
class FromScratch(AbstractRefit):
    """``recipe``: how the model is trained; ``initialise(seed)``: a module with new parameters."""

    recipe: AbstractRecipe
    initialise: Callable[[int], nn.Module]

    @property
    def kind(self) -> Kind:
        return "from_scratch"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        return {}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.recipe.train(self._new(objective, seed), None, seed)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        return self.recipe.train(self._new(objective, seed), weights_without(objective, removed), seed)

    def _new(self, objective: Objective, seed: int) -> Objective:
        start = vector_of(self.initialise(seed), objective.task.layout)
        if start.shape != objective.theta.shape:
            raise ValueError(f"initialise returned {len(start)} parameters, the model has {len(objective.theta)}")
        return objective.at(start.to(objective.theta))

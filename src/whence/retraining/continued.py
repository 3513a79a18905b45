"""The continued refit: from the checkpoint with its optimiser state, more steps with the examples weighted 0.

The same steps with nothing removed are the control, and effects are differences to it: at a checkpoint that is not
converged the loss drifts on its own, and Koh and Liang (2017) print that drift but do not subtract it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.refit import AbstractRecipe, AbstractRefit, Kind, Trained, weights_without


@final
@dataclass(frozen=True)
class Continued(AbstractRefit):
    """``recipe``: the further steps; ``state``: the optimiser's state at the checkpoint (``Trained.state``)."""

    recipe: AbstractRecipe
    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return "continued"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        return {}

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.recipe.train(objective, None, seed, self.state or None)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        return self.recipe.train(objective, weights_without(objective, removed), seed, self.state or None)

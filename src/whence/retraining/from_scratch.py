"""The refit from scratch: a new initialisation and the whole recipe, with the same seed with and without the examples.

For a model that is not convex two runs end in different minima, so the effect of one example drowns in that
difference unless many seeds are averaged; the truth's own test-retest agreement shows how far that is the case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import nn

from whence.objective import Objective
from whence.parameters import vector_of
from whence.retraining.by_recipe import AbstractByRecipe, Start
from whence.retraining.refit import Kind


@final
@dataclass(frozen=True)
class FromScratch(AbstractByRecipe):
    """``recipe``: how the model is trained; ``initialise(seed)``: a module with new parameters."""

    initialise: Callable[[int], nn.Module]

    @property
    def kind(self) -> Kind:
        return "from_scratch"

    def start(self, objective: Objective, seed: int) -> Start:
        point = vector_of(self.initialise(seed), objective.task.layout)
        if point.shape != objective.theta.shape:
            raise ValueError(f"initialise returned {len(point)} parameters, the model has {len(objective.theta)}")
        return objective.at(point.to(objective.theta)), None

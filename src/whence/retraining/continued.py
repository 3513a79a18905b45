"""The continued refit: from the checkpoint with its optimiser state, more steps with the examples weighted 0.

The same steps with nothing removed are the control, and effects are differences to it: at a checkpoint that is not
converged the loss drifts on its own, and Koh and Liang (2017) print that drift but do not subtract it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from whence.objective import Objective
from whence.retraining.by_recipe import AbstractByRecipe, Start
from whence.retraining.refit import Kind


@final
@dataclass(frozen=True)
class Continued(AbstractByRecipe):
    """``recipe``: the further steps; ``state``: the optimiser's state at the checkpoint (``Trained.state``)."""

    state: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return "continued"

    def start(self, objective: Objective, seed: int) -> Start:
        return objective, self.state or None

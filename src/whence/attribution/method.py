"""The contract of methods: how one prepares for a model once, how it scores queries, and what its numbers say.

A method is one file; the explainer adds labels, checks, warnings and certificates, the same for all.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whence import results
from whence.attribution import saved
from whence.attribution.answer import Prepared, Scored
from whence.attribution.certificate import joined
from whence.examples import Examples
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask


class AbstractMethod(ABC):
    """What an explainer asks of the method that it was fitted by."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The method's name in results and tables."""

    @abstractmethod
    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        """Work that no query changes."""

    @abstractmethod
    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        """Scores of all training examples for the queries [query, train]."""

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        """The score of each training example for itself [train]; by default the diagonal of ``score``, in pieces."""
        pieces, reports = [], []
        for start in range(0, objective.count, 128):
            window = np.arange(start, min(start + 128, objective.count))
            scored = self.score(objective, prepared, objective.train[window], mapper)
            pieces.append(scored.values[torch.arange(len(window)), torch.from_numpy(window)])
            reports.append(scored.solver)
        return Scored(torch.cat(pieces), joined(reports))

    def parameter_change(self, objective: Objective, prepared: Prepared, examples: Examples) -> Tensor:
        """θ without each of these training examples minus θ [example, parameter]; TypeError if the method has none."""
        raise TypeError(f"{self.name} predicts no change of the parameters; use InfluenceFunction")

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        """(quantity, unit) of the scores: the change of the task's measurement, unless a method says otherwise."""
        return task.quantity, task.measured_unit

    @property
    def sign(self) -> str:
        """What a larger score means."""
        return results.SIGN

    @property
    def many_passes(self) -> bool:
        """Whether so many gradients are taken that it is worth timing in which batches they are cheapest."""
        return False

    @property
    def by_gradients(self) -> bool:
        """Whether loss, gradients and curvature are all that is asked of the model, whose inputs are never looked at.

        Then last layers that alone are studied stand for the model (:mod:`whence.gradients.tail`).
        """
        return False

    @property
    def options(self) -> dict[str, Any]:
        """The hyperparameters by name, as they are recorded."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {f.name: saved.plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

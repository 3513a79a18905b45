"""The contract of methods: an attributor holds choices; ``fit`` returns an explainer, which scores queries.

A method is one file. It says how to prepare once a model (``prepare``) and how to score queries (``score``); the
explainer adds labels, checks, warnings and certificates, the same for all.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from whence import results
from whence.attribution import saved
from whence.attribution.answer import Prepared, Scored
from whence.attribution.certificate import joined
from whence.attribution.explainer import Explainer
from whence.examples import Examples, as_examples
from whence.gradients import tuning
from whence.gradients.labels import Collected, both
from whence.gradients.tail import Entering, Tail, steps_of
from whence.mapping import AbstractMapper, SerialMapper
from whence.objective import Objective, frozen_objective
from whence.parameters import checkpoint_hash
from whence.task import AbstractTask


class AbstractAttributor(ABC):
    """A method with its hyperparameters, as a frozen dataclass."""

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

    @final
    def fit(self, model: AbstractTask, train: Any, mapper: AbstractMapper | None = None) -> Explainer:
        """Prepare the method for a trained model and its training set.

        ``model``: a task such as ``Classification(net)``; it is copied, so later training does not change the result.
        ``train``: anything :func:`whence.as_examples` takes. ``mapper``: where the work runs.
        Raises ValueError for what :mod:`whence.checks` finds.
        """
        if not isinstance(model, AbstractTask):
            raise TypeError(f"fit needs a task such as Classification(net), not {type(model).__name__}")
        mapper = mapper or SerialMapper()
        objective, labels, tail = self._bound(model, as_examples(train))
        prepared = self.prepare(objective if tail is None else tail.objective, mapper)
        return Explainer(self, objective, prepared, mapper, labels, tail)

    @final
    def load(
        self, path: str | Path, model: AbstractTask, train: Any, mapper: AbstractMapper | None = None
    ) -> Explainer:
        """Read what ``Explainer.save`` wrote, for the same model, training set and options; raises FileError if not."""
        objective, labels, tail = self._bound(model, as_examples(train))
        tensors, header = saved.read(Path(path), saved.identity(self.name, self.options, objective))
        prepared = Prepared(tensors, header["solver"], header["notes"])
        return Explainer(self, objective, prepared, mapper or SerialMapper(), labels, tail)

    def _bound(self, model: AbstractTask, train: Examples) -> tuple[Objective, results.Labels, Tail | None]:
        """The objective, the labels of its training set and its last layers, from the one pass that checks them."""
        collected, task = Collected(model), model.frozen()
        with Entering(task, steps_of(task, train) if self.by_gradients else ()) as watch:
            objective = frozen_objective(task, train, checkpoint_hash(model.module), both(collected, watch))
        tail = Tail.of(objective, watch)
        if self.many_passes and tail is None:
            objective = tuning.tuned(objective)
        return objective, collected.of(train), tail

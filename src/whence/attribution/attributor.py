"""Attributors: methods that hold choices; ``fit`` and ``load`` give an explainer, which scores queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

from whence import results
from whence.attribution import saved
from whence.attribution.answer import Prepared
from whence.attribution.explainer import Explainer
from whence.attribution.method import AbstractMethod
from whence.examples import Examples, as_examples
from whence.gradients import tuning
from whence.gradients.labels import Collected, both
from whence.gradients.tail import Entering, Tail, steps_of
from whence.mapping import AbstractMapper, SerialMapper
from whence.objective import Objective, frozen_objective
from whence.parameters import checkpoint_hash
from whence.task import AbstractTask


class AbstractAttributor(AbstractMethod):
    """A method with its hyperparameters, as a frozen dataclass."""

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

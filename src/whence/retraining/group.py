"""One removal of several examples together, refitted at once, with words on how far it is.

The effect of a group is not the sum of its members' effects: the objective without all of them is minimised, over the
mean of those that stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from whence.batch import Batch
from whence.examples import Source, as_examples
from whence.gradients import functional
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.leave_out import leave_out
from whence.retraining.refit import AbstractRefit, Kind, Trained
from whence.task import AbstractTask

Tell: TypeAlias = Callable[[int, int, str], None]
"""Hears (steps done, of so many, what comes next)."""
STEPS = 3


def leave_group_out(
    model: AbstractTask, train: Any, queries: Any, group: Mapping[str, Sequence[Any]], refit: AbstractRefit, tell: Tell
) -> xr.Dataset:
    """Truth of one removal; ``group`` is its name with the ids that are left out together.

    Beside what ``leave_out`` gives: ``before`` [query], the measurement at the model as it is, and in ``attrs`` the
    ``seconds`` it took. Raises what ``leave_out`` raises, and ValueError for more than one group.
    """
    if len(group) != 1:
        raise ValueError(f"{len(group)} groups: give one, or use leave_out")
    began, data, asked = time.monotonic(), as_examples(train), as_examples(queries)
    (ids,) = group.values()
    steps = _Steps(tell, f"refitting without {len(ids):,} examples", len(data))
    watched = replace(data, source=_Watched(data.source, steps))
    truth = leave_out(model, watched, asked, group, _Told(refit, steps))
    task = model.frozen(refit.dtype)
    before = functional.evaluate(task, task.parameters(), asked, "measure").double().cpu().numpy()
    found = truth.assign(before=("query", before))
    return found.assign_attrs(seconds=time.monotonic() - began)


@dataclass
class _Steps:
    """How far the work is; while the model is refitted, each pass over the data is told too."""

    tell: Tell
    words: str
    count: int
    refitting: bool = False
    rows: int = 0

    def begin(self, step: int, words: str) -> None:
        self.refitting, self.rows = words == self.words, 0
        self.tell(step, STEPS, words)

    def read(self, rows: int) -> None:
        before = self.rows // self.count
        self.rows += rows
        if self.refitting and self.rows // self.count > before:
            self.tell(1, STEPS, f"{self.words}: pass {self.rows // self.count} over the data")


@final
@dataclass(frozen=True)
class _Watched:
    """Rows whose reading is noticed."""

    source: Source
    steps: _Steps

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        self.steps.read(len(rows))
        return self.source.take(rows)


@final
@dataclass(frozen=True)
class _Told(AbstractRefit):
    """A refit whose steps are told."""

    inner: AbstractRefit
    steps: _Steps

    @property
    def kind(self) -> Kind:
        return self.inner.kind

    @property
    def damping(self) -> float | None:
        return self.inner.damping

    @property
    def dtype(self) -> torch.dtype:
        return self.inner.dtype

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        self.steps.begin(0, "a factor of the model's curvature")
        return self.inner.prepare(objective, mapper)

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.inner.control(objective, shared, seed)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        self.steps.begin(1, self.steps.words)
        found = self.inner.refit(objective, shared, removed, seed)
        self.steps.begin(2, "measuring the queries")
        return found

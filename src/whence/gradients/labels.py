"""What a model says of examples, as the labels that results carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence import checks, results
from whence.batch import Batch
from whence.examples import Examples
from whence.gradients import functional
from whence.objective import Objective
from whence.task import AbstractTask


class Collected:
    """Labels, predictions and losses of the batches that it is shown in order, with the model's outputs for them."""

    def __init__(self, task: AbstractTask) -> None:
        self.task = task
        self.labels: list[npt.NDArray[Any]] = []
        self.predictions: list[npt.NDArray[Any]] = []
        self.losses: list[npt.NDArray[np.float64]] = []

    def __call__(self, batch: Batch, output: Tensor) -> None:
        self.labels.append(batch.targets.reshape(len(batch), -1)[:, 0].cpu().numpy())
        self.predictions.append(self.task.prediction(output))
        self.losses.append(functional.loss_of(self.task, output, batch).double().cpu().numpy())

    def of(self, examples: Examples) -> results.Labels:
        """The labels of these examples, all of which were shown."""
        found = (np.concatenate(values) for values in (self.labels, self.predictions, self.losses))
        return results.Labels(examples.ids, *found)


@torch.no_grad()
def labels_of(objective: Objective, examples: Examples) -> results.Labels:
    """Ids, labels, predictions and losses of examples."""
    collected = Collected(objective.task)
    for _, batch in examples.batches(checks.BATCH):
        collected(batch, objective.task.predict(objective.theta, batch))
    return collected.of(examples)


def checked_labels(
    objective: Objective,
    examples: Examples,
    name: str,
    also: Callable[[Batch, Tensor], None] = lambda batch, output: None,
) -> results.Labels:
    """The same in the pass that checks them, which is shown to ``also`` too.

    Raises ValueError for what :func:`whence.checks.check_data` finds.
    """
    collected = Collected(objective.task)
    checks.check_data(objective.task, objective.theta, examples, name, both(collected, also))
    return collected.of(examples)


def both(
    first: Callable[[Batch, Tensor], None], second: Callable[[Batch, Tensor], None]
) -> Callable[[Batch, Tensor], None]:
    """One that shows each batch and its output to both."""

    def shown(batch: Batch, output: Tensor) -> None:
        first(batch, output)
        second(batch, output)

    return shown

"""Minibatches of a seed, and the gradient of a weighted one: what recipes that step through the data share.

A batch's loss is Σ w_i ℓ_i / Σ w_i over its rows (mean objective), or scaled up to the training set (sum), plus the
penalty. The order of the data depends on the seed and the step alone, so a run with and one without an example see the
same batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.gradients import functional
from whence.objective import Objective

PIECE = 128
"""Rows that go through the model at once: on a CPU a third faster than whole batches of 500 small images."""


def batches(count: int, size: int, seed: int, start: int, stop: int) -> Iterator[npt.NDArray[np.int64]]:
    """The batches of steps ``start`` up to ``stop`` as sorted positions; an epoch's last, if not full, is left out."""
    generator = np.random.default_rng(seed)
    size = min(size, count)
    an_epoch = count // size
    for epoch in range(-(-stop // an_epoch)):
        order = generator.permutation(count)
        for number in range(an_epoch):
            if start <= epoch * an_epoch + number < stop:
                yield np.sort(order[number * size : (number + 1) * size])


def batch_gradient(
    objective: Objective, weights: Tensor | None, theta: Tensor, positions: npt.NDArray[np.int64]
) -> Tensor:
    """The gradient of the batch's weighted loss and the penalty; for a sum the loss is scaled up."""
    part = objective.train[positions]
    chosen = None if weights is None else weights[torch.from_numpy(positions)]
    gradient = functional.summed(objective.task, theta, part, lambda window: _cut(chosen, window), PIECE)[1]
    total = float(len(part) if chosen is None else chosen.sum())
    factor = (1.0 / total if total > 0 else 0.0) if objective.mean else objective.count / len(part)
    return factor * gradient + objective.decay * theta


def _cut(weights: Tensor | None, window: slice) -> Tensor | None:
    return None if weights is None else weights[window]

"""The batch size at which a model's gradient is cheapest: small enough for the cache, large enough for the kernels."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from whence.examples import Examples
from whence.gradients import functional
from whence.objective import Objective

SIZES = (128, 256, 512, 1024, 2048)


def tuned(objective: Objective, sizes: tuple[int, ...] = SIZES) -> Objective:
    """The objective with the batch size whose gradient took least time an example; results do not change.

    Sizes are tried in their order until one is slower than the best before it.
    """
    best, found = float("inf"), objective.batch_size
    for size in sizes:
        count = min(size, objective.count)
        sample = objective.train[np.arange(count)]
        seconds = min(_gradient_seconds(objective, sample) for _ in range(2)) / count
        if seconds > best:
            break
        best, found = seconds, size
        if size >= objective.count:
            break
    return replace(objective, batch_size=found)


def _gradient_seconds(objective: Objective, sample: Examples) -> float:
    start = time.perf_counter()
    functional.summed(objective.task, objective.theta, sample, batch_size=len(sample))
    return time.perf_counter() - start

"""Training data on the device and in the type of the work, so that a batch is an index and not a copy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whence.batch import tensors_of
from whence.examples import TensorSource
from whence.objective import Objective

LARGEST = 2**32
"""Bytes up to which data is kept on the device."""


def resident(objective: Objective) -> Objective:
    """The same objective, its inputs and targets moved to θ's device and type once; no number changes by it.

    Data larger than ``LARGEST``, and data sets whose rows are fetched when asked for, stay where they are: those are
    moved batch by batch.
    """
    train, theta = objective.train, objective.theta
    if not isinstance(train.source, TensorSource):
        return objective
    first = train.take(slice(0, 1))
    row = sum(
        tensor.numel() * (theta if tensor.is_floating_point() else tensor).element_size()
        for tensor in [*tensors_of(first.inputs), first.targets]
    )
    if row * len(train) > LARGEST:
        return objective
    batch = train.take(slice(None)).to(theta.dtype, theta.device)
    return objective.over(replace(train, source=TensorSource(batch.inputs, batch.targets), rows=np.arange(len(train))))

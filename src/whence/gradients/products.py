"""Products of per-example gradients with vectors, ∇ℓ_i·v for all i, without keeping the gradients.

One direction costs one forward-mode product (Jacobian-vector product: about two forward passes). Many directions cost
one pass of per-example gradients and a matrix product. Which is cheaper is measured on this model, not assumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from whence.examples import Examples
from whence.gradients import functional, rows
from whence.mapping import AbstractMapper
from whence.task import AbstractTask

Mode: TypeAlias = Literal["forward", "reverse"]

LARGEST = 2**23
"""Bytes of products that come in one piece."""
CENTRED = 2**19
"""Bytes of products, in float64, that are centred at once."""
MANY = 32
"""From so many directions on rows are taken without timing: forward mode would pass over the data for each."""
FORWARD_LACKS = ("forward AD", "forward mode", "forward-mode", "jvp", "autograd.Function", "functorch")
"""Words of torch's errors where a forward derivative is missing; any other error is the model's, and is raised."""


@dataclass(frozen=True)
class Plan:
    """How products are to be computed: the mode, the way of the rows, the batch size and what was measured."""

    mode: Mode
    way: rows.Way
    batch_size: int
    reason: str


def products(
    task: AbstractTask, theta: Tensor, examples: Examples, directions: Tensor, plan: Plan, of: functional.Of = "loss"
) -> Tensor:
    """∇θ value_i · v_k for every example and direction: [n, k] from ``directions`` [parameter, k]."""
    directions = directions.to(theta)
    if plan.mode == "forward":
        return forward_products(task, theta, examples, directions, of, plan.batch_size)
    found = theta.new_empty(len(examples), directions.shape[1])
    for window, piece in rows.gradient_rows(task, theta, examples, of, plan.batch_size, plan.way):
        found[window] = piece @ directions
    return found


def products_of_all(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    directions: Tensor,
    plan: Plan,
    mapper: AbstractMapper,
    of: functional.Of = "loss",
) -> Tensor:
    """The same [n, k], worked out where the mapper says, in pieces that are small beside the whole.

    In the model's precision; in float32 where that is half precision, in which a scaled score may vanish.
    """
    part = partial(products, task, theta, directions=directions, plan=plan, of=of)
    count, width = len(examples), directions.shape[1]
    pieces = examples.shards(max(mapper.shards, count * width * theta.element_size() // LARGEST))
    starts = np.cumsum([0, *map(len, pieces)])
    found = theta.new_empty(count, width, dtype=torch.promote_types(theta.dtype, torch.float32))
    for number, piece in mapper.map(part, pieces):
        found[starts[number] : starts[number + 1]] = piece
    return found


def centred(found: Tensor, factor: float) -> Tensor:
    """``factor``·(found − its mean over the rows) in place of found [n, k]; in float64, a piece at a time."""
    pieces = torch.split(found, max(1, CENTRED // (8 * found.shape[1])))
    mean = found.new_zeros(found.shape[1], dtype=torch.float64)
    for piece in pieces:
        mean += piece.sum(0, dtype=torch.float64) / len(found)
    for piece in pieces:
        piece.copy_(factor * (piece.double() - mean))
    return found


def forward_products(
    task: AbstractTask, theta: Tensor, examples: Examples, directions: Tensor, of: functional.Of, batch_size: int
) -> Tensor:
    """The same by forward mode, one direction after the other."""
    found = theta.new_empty(len(examples), directions.shape[1])
    for window, batch in examples.batches(batch_size):
        for column in range(directions.shape[1]):
            tangent = directions[:, column].contiguous()
            with torch.no_grad():
                change = jvp(lambda point: functional.values(task, point, batch, of), (theta,), (tangent,))[1]  # noqa: B023
            found[window, column] = change
    return found


def plan_products(
    task: AbstractTask, theta: Tensor, examples: Examples, directions: int, batch_size: int, of: functional.Of = "loss"
) -> Plan:
    """Choose the mode by timing both on one batch.

    Forward mode costs ``directions`` products, reverse mode one pass of rows. An operation without a forward
    derivative falls back to reverse mode, and the reason says so.
    """
    way = rows.way_for(task, theta, examples)
    if directions >= MANY:
        return Plan("reverse", way, batch_size, f"{directions} directions: one pass of rows")
    sample = examples[np.arange(min(batch_size, len(examples)))]
    vector = torch.ones_like(theta)[:, None]
    try:
        forward_products(task, theta, sample[np.arange(min(8, len(sample)))], vector, of, batch_size)
    except RuntimeError as error:
        if not _lacks_forward(error):
            raise
        return Plan("reverse", way, batch_size, f"an operation has no forward derivative ({str(error)[:80]})")
    if directions == 1:
        return Plan("forward", way, batch_size, "one direction: one forward-mode product")
    forward = _seconds(lambda: forward_products(task, theta, sample, vector, of, batch_size))
    block = torch.ones(len(theta), directions).to(theta)

    def reverse_once() -> None:
        for _, piece in rows.gradient_rows(task, theta, sample, of, batch_size, way):
            piece @ block

    reverse = _seconds(reverse_once)
    measured = f"measured on {len(sample)} examples: {directions} x {forward:.2g} s forward, {reverse:.2g} s reverse"
    return Plan("forward" if directions * forward < reverse else "reverse", way, batch_size, measured)


def _lacks_forward(error: RuntimeError) -> bool:
    """Whether an operation has no forward derivative, or cannot be taken through torch's transforms."""
    said = str(error)
    return isinstance(error, NotImplementedError) or any(part in said for part in FORWARD_LACKS)


def _seconds(work: Callable[[], object]) -> float:
    """The best of two runs: the first one also warms caches and kernels."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best

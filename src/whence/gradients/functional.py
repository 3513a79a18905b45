"""Losses, outputs and full gradients of an objective, in batches; the ground of this folder.

Nothing here depends on how the data is cut: sums over examples are formed first, factors applied afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from whence.batch import Batch
from whence.examples import Examples
from whence.objective import Objective
from whence.task import AbstractTask

Of: TypeAlias = Literal["loss", "measure"]


def values(task: AbstractTask, theta: Tensor, batch: Batch, of: Of) -> Tensor:
    """The loss or the measurement of each example of a batch [batch]."""
    output = task.predict(theta, batch)
    return task.measure(output, batch) if of == "measure" else loss_of(task, output, batch)


def loss_of(task: AbstractTask, output: Tensor, batch: Batch) -> Tensor:
    """The training loss per example [batch], with the batch in the output's type."""
    return task.loss(output, batch.to(output.dtype, output.device))


@torch.no_grad()
def evaluate(task: AbstractTask, theta: Tensor, examples: Examples, of: Of = "loss", batch_size: int = 1024) -> Tensor:
    """The loss or the measurement of every example [n]."""
    return torch.cat([values(task, theta, batch, of) for _, batch in examples.batches(batch_size)])


@torch.no_grad()
def outputs(task: AbstractTask, theta: Tensor, examples: Examples, batch_size: int = 1024) -> Tensor:
    """The module's output for every example [n, ...]."""
    return torch.cat([task.predict(theta, batch) for _, batch in examples.batches(batch_size)])


@dataclass(frozen=True)
class Point:
    """An objective's value (a number) and gradient [parameter] at one θ."""

    value: float
    gradient: Tensor


def evaluate_objective(objective: Objective, theta: Tensor, weights: Tensor | None = None) -> Point:
    """F and ∇F at ``theta``; with example weights w [n] the losses add to Σ w_i ℓ_i, over Σ w_i if mean."""
    value, gradient = summed(
        objective.task,
        theta,
        objective.train,
        lambda window: None if weights is None else weights[window],
        objective.batch_size,
    )
    total = float(objective.count if weights is None else weights.sum())
    factor = 1.0 / total if objective.mean else 1.0
    decay = objective.decay
    penalty = 0.5 * float((decay * theta * theta).sum())
    return Point(factor * value + penalty, factor * gradient + decay * theta)


def summed(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    weights: Callable[[slice], Tensor | None] = lambda window: None,
    batch_size: int = 512,
) -> tuple[float, Tensor]:
    """Σ w_i ℓ_i (a number) and its gradient [parameter]; batches whose weights are all zero are not computed."""
    total, gradient = 0.0, torch.zeros_like(theta)
    point = theta.detach().requires_grad_(True)
    for window, batch in examples.batches(batch_size):
        weight = weights(window)
        if weight is not None and not bool(weight.any()):
            continue
        with torch.enable_grad():
            losses = values(task, point, batch, "loss")
            value = losses.sum() if weight is None else (losses * weight.to(losses)).sum()
            (piece,) = torch.autograd.grad(value, point)
        total += float(value.detach())
        gradient += piece
    return total, gradient


def mean_gradient(objective: Objective) -> Tensor:
    """∇L, the mean loss gradient [parameter] in float64; zero for a sum objective, where no example is recentred."""
    if not objective.mean:
        return torch.zeros_like(objective.theta, dtype=torch.float64)
    gradient = summed(objective.task, objective.theta, objective.train, batch_size=objective.batch_size)[1]
    return gradient.double() / objective.count

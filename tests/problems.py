"""Small trained models with their data; deterministic, float64 unless asked otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import networks
import whence as wh
from whence.batch import Batch
from whence.examples import Examples
from whence.objective import Objective, objective_of
from whence.task import AbstractTask


@dataclass(frozen=True)
class Problem:
    """A trained task with training examples and queries."""

    task: AbstractTask
    train: Examples
    queries: Examples

    @property
    def objective(self) -> Objective:
        return objective_of(self.task, self.train)


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def classes(x: Tensor, count: int) -> Tensor:
    """Labels from a noisy linear rule, so that no class is separable."""
    flat = x.reshape(len(x), -1)
    logits = flat @ features(flat.shape[1], count) + 1.5 * features(len(x), count)
    return logits.argmax(1)


def rates(output: Tensor, batch: Batch) -> Tensor:
    """The loss of a Poisson regression with a log link: convex in the output, and its curvature varies."""
    return output[:, 0].exp() - batch.targets * output[:, 0]


def poisson(module: nn.Module, **options: Any) -> AbstractTask:
    return wh.CustomTask(module, rates, **options)


def _vectors(outputs: int) -> Callable[[int], tuple[Any, Tensor]]:
    def draw(count: int) -> tuple[Any, Tensor]:
        x = features(count, 4)
        return x, classes(x, outputs)

    return draw


def _images(count: int) -> tuple[Any, Tensor]:
    x = features(count, 1, 6, 6)
    return x, classes(x, 3)


def _line(count: int) -> tuple[Any, Tensor]:
    x = features(count, 4)
    return x, x @ features(4) + 0.3 * features(count)


def _counts(count: int) -> tuple[Any, Tensor]:
    x = 0.5 * features(count, 4)
    return x, torch.poisson(x.sum(1).exp())


def _named(count: int) -> tuple[Any, Tensor]:
    return {"left": features(count, 2), "right": features(count, 3)}, features(count, 2)


# name: how it is built, the task, how the data is drawn
PROBLEMS: dict[
    str, tuple[Callable[[], nn.Module], Callable[..., AbstractTask], Callable[[int], tuple[Any, Tensor]]]
] = {
    "logistic-2": (lambda: nn.Linear(4, 2), wh.Classification, _vectors(2)),
    "logistic-3": (lambda: nn.Linear(4, 3), wh.Classification, _vectors(3)),
    "ridge": (lambda: nn.Linear(4, 1), wh.Regression, _line),
    "poisson": (lambda: nn.Linear(4, 1), poisson, _counts),
    "mlp": (networks.mlp, wh.Classification, _vectors(3)),
    "conv": (networks.convolutional, wh.Classification, _images),
    "shared": (networks.Shared, wh.Classification, _vectors(3)),
    "bilinear": (networks.Bilinear, wh.Classification, _vectors(3)),
    "dict": (networks.TwoInputs, wh.Regression, _named),
}
LBFGS = {"max_iter": 60, "tolerance_grad": 1e-10, "tolerance_change": 1e-15, "line_search_fn": "strong_wolfe"}
NAMES = list(PROBLEMS)
LINEAR = ["logistic-2", "logistic-3", "ridge", "poisson"]


@cache
def problem(
    name: str,
    objective: str = "mean",
    dtype: torch.dtype = torch.float64,
    count: int = 24,
    decay: float = 0.05,
    measure: Any = "loss",
) -> Problem:
    """A problem of the table, its model trained near a minimum of its objective; 5 queries."""
    build, make, draw = PROBLEMS[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        inputs, targets = draw(count + 5)
        torch.manual_seed(0)
        module = build().double().eval()
    whole = wh.as_examples(inputs | {"targets": targets} if isinstance(inputs, dict) else (inputs, targets))
    train, queries = whole[:count], wh.as_examples(whole[count:], ids=[f"q{i}" for i in range(5)])
    strength = decay * (count if objective == "sum" else 1)
    options = {"weight_decay": strength, "objective": objective, "measure": measure}
    _descend(make(module, **options), train)
    return Problem(make(copy.deepcopy(module).to(dtype), **options), train, queries)


def _descend(task: AbstractTask, train: Examples) -> None:
    """Towards a minimum with torch's own optimiser; the training pieces of the library are under test elsewhere."""
    module, batch = task.module, train.take(slice(None))
    optimizer = torch.optim.LBFGS(module.parameters(), **LBFGS)

    def closure() -> Tensor:
        optimizer.zero_grad()
        output = module(**batch.inputs) if isinstance(batch.inputs, dict) else module(batch.inputs)
        losses = task.loss(output, batch)
        total = losses.mean() if task.objective == "mean" else losses.sum()
        theta = torch.cat([parameter.reshape(-1) for parameter in module.parameters()])
        total = total + 0.5 * (task.coefficients * theta.square()).sum()
        total.backward()
        return total

    optimizer.step(closure)
    optimizer.zero_grad(set_to_none=True)


def untrained(
    module: nn.Module, x: Tensor, y: Tensor, make: Callable[..., AbstractTask] = wh.Classification
) -> Problem:
    """A model as it is initialised over data of one's own; the first five examples are asked."""
    whole = wh.as_examples((x, y))
    return Problem(make(module.double().eval(), weight_decay=0.02), whole, whole[:5])

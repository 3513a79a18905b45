"""One query on the all-CNN with 5,500 MNIST images: scoring all training examples against a plain full gradient.

Bars: at most 2 times one plain full gradient, and at most 0.6 of per-example gradients by ``vmap(grad)``; each in its
best batch size, in the same run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from bench.timing import medians
from whence.datasets import koh_liang_subset
from whence.gradients import functional, products
from whence.models import all_cnn
from whence.objective import Objective, objective_of
from whence.tasks import Classification

GRADIENT_BATCHES = (256, 550, 1100)
VMAP_BATCHES = (50, 100, 250, 550)


def run(mnist: str, rounds: int = 5) -> dict[str, object]:
    """Seconds and ratios; the products are checked against the per-example gradients first."""
    train, _ = koh_liang_subset(mnist)
    objective = objective_of(Classification(all_cnn(0), weight_decay=1e-3), train)
    direction = torch.randn(len(objective.theta), 1, generator=torch.Generator().manual_seed(0))
    forward = _forward(objective, direction, 550)()
    expected = _vmap_rows(objective, 250)() @ direction
    error = float((forward - expected).abs().max() / expected.abs().max())
    if error > 1e-4:
        raise RuntimeError(f"forward products differ from per-example gradients by {error:.1e}: nothing is timed")
    best = {
        "gradient": _best({size: _gradient(objective, size) for size in GRADIENT_BATCHES}),
        "score": _best({size: _forward(objective, direction, size) for size in GRADIENT_BATCHES}),
        "vmap": _best({size: _vmap_rows(objective, size) for size in VMAP_BATCHES}),
    }
    work = {
        "gradient": _gradient(objective, best["gradient"]),
        "score": _forward(objective, direction, best["score"]),
        "vmap": _vmap_rows(objective, best["vmap"]),
    }
    seconds = medians(work, rounds)
    return {
        "batches": best,
        "seconds": seconds,
        "score / gradient (bar 2)": seconds["score"] / seconds["gradient"],
        "score / vmap(grad) (bar 0.6)": seconds["score"] / seconds["vmap"],
        "largest relative difference": error,
    }


def _best(candidates: dict[int, Callable[[], object]]) -> int:
    seconds = medians({str(size): work for size, work in candidates.items()}, rounds=2)
    return int(min(seconds, key=lambda name: seconds[name]))


def _gradient(objective: Objective, size: int) -> Callable[[], object]:
    return lambda: functional.summed(objective.task, objective.theta, objective.train, batch_size=size)


def _forward(objective: Objective, direction: Tensor, size: int) -> Callable[[], Tensor]:
    o = objective
    return lambda: products.forward_products(o.task, o.theta, o.train, direction, "loss", size)


def _vmap_rows(objective: Objective, size: int) -> Callable[[], Tensor]:
    module, layout = objective.task.module, objective.task.layout

    def loss(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        output = functional_call(module, layout.unflatten(theta), (x[None],))
        return torch.nn.functional.cross_entropy(output, y[None])

    rows = vmap(grad(loss), in_dims=(None, 0, 0))

    def work() -> Tensor:
        batches = objective.train.batches(size)
        return torch.cat([rows(objective.theta, batch.inputs, batch.targets) for _, batch in batches])

    return work

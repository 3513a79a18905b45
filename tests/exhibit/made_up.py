"""Small networks with rows of each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import whence as wh
from whence.examples import Examples
from whence.task import AbstractTask

WORDS = ["calm", "dark", "early", "fine", "grey"]


@dataclass(frozen=True)
class Given:
    """A task with its data."""

    task: AbstractTask
    train: Examples
    queries: Examples


def network(inputs: int, outputs: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs)).double()


def images(count: int = 30, shape: tuple[int, ...] = (1, 5, 4), **options: Any) -> Given:
    """Random images of three classes; queries have the ids after the training examples'."""
    generator = np.random.default_rng(0)
    x, y = generator.random((count + 6, *shape)), generator.integers(3, size=count + 6)
    return Given(wh.Classification(network(int(np.prod(shape)), 3), weight_decay=0.01), *cut(x, y, count, **options))


def vectors(count: int = 30, width: int = 4, **options: Any) -> Given:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(count + 6, width)), generator.integers(2, size=count + 6)
    return Given(wh.Classification(network(width, 2), weight_decay=0.01), *cut(x, y, count, **options))


def texts(**options: Any) -> Given:
    """Rows whose first number says which words they are."""
    return vectors(show=lambda row: " ".join(WORDS[: 1 + int(abs(row[0]) * 2) % 5]), **options)


def numbers(task: Callable[..., AbstractTask] = wh.Regression, **options: Any) -> Given:
    """Real targets."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(26, 3))
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.1 * generator.normal(size=26)
    return Given(task(network(3, 1)), *cut(x, y, 20, **options))


def cut(x: Any, y: Any, count: int, ids: Any = None, **options: Any) -> tuple[Examples, Examples]:
    every = wh.as_examples((x, y), ids=ids, **options)
    return every[:count], every[count:]

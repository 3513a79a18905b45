"""kNN-Shapley against the definition of a Shapley value: the mean marginal value over all orders of arrival."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from torch import nn

import whence as wh
from problems import problem


def vote(members: tuple[int, ...], distance: np.ndarray, agrees: np.ndarray, k: int) -> float:
    """The share of the k nearest members that agree."""
    nearest = sorted(members, key=lambda i: (distance[i], i))[:k]
    return sum(agrees[i] for i in nearest) / k


def by_definition(distance: np.ndarray, agrees: np.ndarray, k: int) -> np.ndarray:
    n = len(distance)
    values = np.zeros(n)
    orders = list(itertools.permutations(range(n)))
    for order in orders:
        for place, i in enumerate(order):
            before = order[:place]
            values[i] += vote((*before, i), distance, agrees, k) - vote(before, distance, agrees, k)
    return values / len(orders)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 9])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_values_are_exact(metric: Any, k: int) -> None:
    generator = np.random.default_rng(4)
    x, asked = generator.normal(size=(6, 2)), generator.normal(size=(4, 2))
    y, labels = np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 1, 0])
    task = wh.Classification(nn.Linear(2, 2).double().eval())
    scores = wh.KNNShapley(k, "input", metric).fit(task, (x, y)).attribute((asked, labels))
    for row, point, label in zip(scores.values, asked, labels, strict=True):
        distance = np.linalg.norm(x - point, axis=1)
        if metric == "cosine":
            distance = -(x @ point) / np.linalg.norm(x, axis=1)
        np.testing.assert_allclose(row, by_definition(distance, y == label, k), atol=1e-12)
        assert row.sum() == pytest.approx(vote(tuple(range(6)), distance, y == label, k))


def test_any_layer_is_a_measure_of_nearness() -> None:
    p = problem("mlp")
    hidden = [p.task.module[:2](part.take(slice(None)).inputs).detach().numpy() for part in (p.train, p.queries)]
    scores = wh.KNNShapley(5, "1").fit(p.task, p.train).attribute(p.queries)
    plain = wh.Classification(nn.Linear(4, 3).double().eval())
    targets = [part.targets().numpy() for part in (p.train, p.queries)]
    expected = wh.KNNShapley(5).fit(plain, (hidden[0], targets[0])).attribute((hidden[1], targets[1]))
    np.testing.assert_allclose(scores, expected, atol=1e-12)
    assert scores.attrs["quantity"] == "Shapley value in the vote of 5 neighbours in 1"
    assert scores.attrs["unit"] == "share of the vote"


def test_of_equally_near_examples_the_smaller_id_is_nearer() -> None:
    x, y = np.zeros((3, 2)), np.array([0, 1, 1])
    task = wh.Classification(nn.Linear(2, 2).double().eval())
    for order in itertools.permutations(range(3)):
        train = wh.as_examples((x, y))[list(order)]
        scores = wh.KNNShapley(1).fit(task, train).attribute((np.ones((1, 2)), np.array([0])))
        np.testing.assert_allclose(scores.sel(train=[0, 1, 2])[0], by_definition(np.zeros(3), y == 0, 1), atol=1e-12)


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        wh.KNNShapley(0)
    with pytest.raises(ValueError, match="metric must be one of"):
        wh.KNNShapley(1, "input", "manhattan")  # type: ignore[arg-type]
    p = problem("ridge")
    with pytest.raises(ValueError, match="kNN-Shapley needs classes"):
        wh.KNNShapley().fit(p.task, p.train)

"""Similarity, centroid distance and centroid relationship against loops over scipy's distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import distance
from torch import nn

import networks
import whence as wh
from problems import Problem, problem, untrained

METRICS = ["cosine", "euclidean", "mahalanobis"]


def hidden(p: Problem, examples: Any) -> np.ndarray:
    """The embeddings behind the tanh of the small network."""
    with torch.no_grad():
        found: np.ndarray = p.task.module[1](p.task.module[0](examples.take(slice(None)).inputs)).numpy()
    return found


def labels(p: Problem) -> np.ndarray:
    return p.train.targets().numpy()


def covariance(x: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Pooled within the classes ``of``."""
    own = np.stack([row - x[of == label].mean(0) for row, label in zip(x, of, strict=True)])
    return own.T @ own / (len(x) - len(set(of.tolist())))


def between(metric: str, inverse: np.ndarray | None = None) -> Callable[[np.ndarray, np.ndarray], float]:
    if metric == "cosine":
        return lambda p, q: 1 - distance.cosine(p, q)
    return distance.euclidean if metric == "euclidean" else lambda p, q: distance.mahalanobis(p, q, inverse)


def to_centroid(p: Problem, metric: str, spread: str, rows: np.ndarray, label: int) -> list[float]:
    train, of = hidden(p, p.train), labels(p)
    group = train[of == label]
    inverse = np.linalg.inv(np.cov(group.T) if spread == "class" else covariance(train, of))
    return [between(metric, inverse)(row, group.mean(0)) for row in rows]


@pytest.fixture
def three() -> Problem:
    """Three classes in a hidden layer of four units, with enough examples of each for a covariance of its own.

    Not trained: weight decay would make the units depend on one another, and their covariance singular.
    """
    with torch.random.fork_rng():
        torch.manual_seed(4)
        p = untrained(networks.mlp(), torch.randn(90, 4, dtype=torch.float64), torch.arange(90) % 3)
    return replace(p, queries=wh.as_examples(p.queries, ids=[f"q{i}" for i in range(5)]))


@pytest.mark.parametrize("metric", METRICS)
def test_similarity_equals_a_loop(three: Problem, metric: str) -> None:
    train, asked = hidden(three, three.train), hidden(three, three.queries)
    measure = between(metric, np.linalg.inv(covariance(train, labels(three))))
    expected = np.array([[measure(q, i) for i in train] for q in asked]) * (1 if metric == "cosine" else -1)
    scores = wh.Similarity("1", metric).fit(three.task, three.train).attribute(three.queries)
    np.testing.assert_allclose(scores, expected, rtol=1e-8)
    assert scores.attrs["notes"]["layer"] == "1"
    assert scores.attrs["notes"]["dimension"] == 4
    np.testing.assert_array_equal(scores.argmax("train"), range(5))  # the first five examples are asked, too
    if metric == "cosine":
        assert scores.whence.top(1, query="q3", side="helpful")["train"].tolist() == [3]


def test_similarity_without_classes_takes_the_overall_covariance() -> None:
    p = problem("ridge")
    x, asked = p.train.take(slice(None)).inputs.numpy(), p.queries.take(slice(None)).inputs.numpy()
    expected = -distance.cdist(asked, x, "mahalanobis", VI=np.linalg.inv(np.cov(x.T)))
    scores = wh.Similarity("input", "mahalanobis").fit(p.task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores, expected, rtol=1e-8)
    assert scores.attrs["notes"]["shrinkage"] == {"overall": 0.0}


@pytest.mark.parametrize("spread", ["class", "pooled"])
@pytest.mark.parametrize("metric", METRICS)
def test_centroid_distance_and_relationship_equal_loops(three: Problem, metric: str, spread: Any) -> None:
    train, asked, of = hidden(three, three.train), hidden(three, three.queries), labels(three)
    own = [to_centroid(three, metric, spread, train[[i]], of[i])[0] for i in range(len(train))]
    there = np.array([to_centroid(three, metric, spread, asked, label) for label in of]).T
    found = wh.CentroidDistance("1", metric, spread).fit(three.task, three.train).attribute(three.queries)
    expected = 1 - np.array(own) if metric == "cosine" else np.array(own)
    np.testing.assert_allclose(found, np.tile(expected, (5, 1)), rtol=1e-8)
    ratio = wh.CentroidRelationship("1", metric, spread).fit(three.task, three.train).attribute(three.queries)
    np.testing.assert_allclose(ratio, there / own, rtol=1e-8)
    assert ratio.attrs["notes"]["floored"] == 0
    kinds = {"pooled"} if spread == "pooled" else {"0", "1", "2"}
    for scores in (found, ratio):
        assert set(scores.attrs["notes"].get("shrinkage", kinds)) == kinds


def two_clusters(lonely: bool) -> tuple[wh.Classification, Any]:
    """Eight points of class 0 in eight dimensions, eight of class 1, and perhaps one alone in class 2."""
    x = torch.randn(17 if lonely else 16, 8, generator=torch.Generator().manual_seed(3))
    y = torch.tensor([0] * 8 + [1] * 8 + [2] * lonely)
    return wh.Classification(nn.Linear(8, 3).eval()), wh.as_examples((x, y))


def test_a_singular_class_is_shrunk_and_the_notes_say_so() -> None:
    task, train = two_clusters(lonely=False)
    notes = wh.CentroidDistance().fit(task, train).attribute(train[:1]).attrs["notes"]
    assert set(notes["shrinkage"]) == {"0", "1"}
    assert all(0 < a < 1 for a in notes["shrinkage"].values())
    assert notes["shrunk_because"]["0"] == "7 degrees of freedom for 8 dimensions: the covariance is singular"


@pytest.mark.parametrize("metric", ["euclidean", "mahalanobis"])
def test_an_example_alone_in_its_class_has_a_large_finite_ratio(metric: Any, tmp_path: Path) -> None:
    task, train = two_clusters(lonely=True)
    method = wh.CentroidRelationship("input", metric)
    explainer = method.fit(task, train)
    scores = explainer.attribute(train[:3])
    assert bool(np.isfinite(scores).all())
    assert scores.attrs["notes"]["floored"] == 1
    assert bool((scores.argmax("train") == 16).all())
    own = wh.CentroidDistance("input", metric).fit(task, train).attribute(train[:1])
    assert float(own.sel(train=16)[0]) == 0
    if metric == "mahalanobis":
        assert set(own.attrs["notes"]["shrinkage"]) == {"0", "1", "pooled"}
    explainer.save(tmp_path / "kept")
    loaded = method.load(tmp_path / "kept", task, train)
    np.testing.assert_array_equal(loaded.attribute(train[:3]), scores)


def test_nothing_but_lonely_examples_is_refused() -> None:
    x = torch.randn(3, 4)
    task, train = wh.Classification(nn.Linear(4, 3).eval()), wh.as_examples((x, torch.arange(3)))
    with pytest.raises(ValueError, match="lies on the centroid of its class"):
        wh.CentroidRelationship("input", "euclidean").fit(task, train)
    with pytest.raises(ValueError, match="give two or more of a class"):
        wh.CentroidDistance().fit(task, train)


@pytest.mark.parametrize("method", [wh.CentroidDistance(), wh.CentroidRelationship()])
@pytest.mark.parametrize("name", ["ridge", "poisson"])
def test_centroids_need_classes(method: Any, name: str) -> None:
    p = problem(name)
    with pytest.raises(ValueError, match=r"centroid .* needs classes, and this \w+ task has none: use Similarity"):
        method.fit(p.task, p.train)


def test_whole_numbers_are_no_classes_to_a_regression() -> None:
    task, train = wh.Regression(nn.Linear(2, 1).eval()), wh.as_examples((torch.randn(4, 2), torch.arange(4)))
    with pytest.raises(ValueError, match="this regression task has none"):
        wh.CentroidDistance().fit(task, train)


def test_the_objectives_parameters_are_those_that_embed() -> None:
    p = problem("mlp")
    explainer = wh.Similarity("1", "euclidean").fit(p.task, p.train)
    moved = explainer.objective.at(torch.zeros_like(explainer.objective.theta))
    prepared = explainer.attributor.prepare(moved, explainer.mapper)
    assert bool((prepared.tensors["train"] == 0).all())


def test_choices_are_checked_and_named() -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        wh.Similarity("input", "manhattan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="spread must be 'class' or 'pooled'"):
        wh.CentroidDistance(spread="overall")  # type: ignore[arg-type]
    p = problem("mlp")
    with pytest.raises(KeyError, match="the model has no layer 'h1_a'"):
        wh.Similarity("h1_a").fit(p.task, p.train)
    told = {
        wh.Similarity("1"): ("cosine similarity of 1", "none"),
        wh.Similarity("1", "euclidean"): ("minus Euclidean distance in 1", "embedding units"),
        wh.Similarity("1", "mahalanobis"): ("minus Mahalanobis distance in 1", "none"),
        wh.CentroidDistance("1"): ("Mahalanobis distance from the class centroid in 1", "none"),
        wh.CentroidRelationship("1"): ("ratio of cosine similarities with the class centroid in 1", "none"),
    }
    assert {method: method.measured(p.task) for method in told} == told
    assert len({method.name for method in told}) == len(told)


def test_queries_of_another_size_are_refused() -> None:
    net = nn.Sequential(nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4, 2)).eval()
    train, queries = (wh.as_examples((torch.randn(6, 1, n), torch.arange(6) % 2), None) for n in (8, 9))
    with pytest.raises(ValueError, match="the queries have 9 dimensions in 'input', the training examples 8"):
        wh.Similarity().fit(wh.Classification(net), train).attribute(queries)

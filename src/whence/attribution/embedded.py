"""What the methods that compare embeddings share: an objective's embeddings and classes, and the words for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from torch import Tensor

from whence.embedding.activations import activations
from whence.embedding.clusters import Metric
from whence.embedding.metrics import cosine_similarity, euclidean_distance
from whence.embedding.spread import Spread, fit_spread, spread_of
from whence.examples import Examples
from whence.objective import Objective
from whence.tasks import Regression

WORDS: Mapping[str, str] = {"cosine": "cosine", "euclidean": "Euclidean", "mahalanobis": "Mahalanobis"}
UNITS: Mapping[str, str] = {"cosine": "none", "euclidean": "embedding units", "mahalanobis": "none"}


def embed(objective: Objective, examples: Examples, layer: str) -> Tensor:
    """The embeddings [n, d] of examples in a layer, at the objective's θ; raises as ``activations`` does."""
    named = objective.task.layout.unflatten(objective.theta)
    return activations(objective.task.module, layer, examples, objective.batch_size, named)[layer]


def placed(objective: Objective, layer: str, metric: Metric) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, notes) of a training set as :func:`nearness` needs them; Mahalanobis distances become Euclidean."""
    train = embed(objective, objective.train, layer)
    notes: dict[str, Any] = describe(layer, train, metric)
    if metric != "mahalanobis":
        return {"train": train}, notes
    spread = fit_spread(train, class_labels(objective))
    notes |= describe_spreads({"pooled" if spread.means > 1 else "overall": spread})
    return {"train": spread.whiten(train), **spread.tensors()}, notes


def nearness(
    objective: Objective, tensors: Mapping[str, Tensor], queries: Examples, layer: str, metric: Metric
) -> Tensor:
    """How near each training example lies to each query [query, train]: cosine similarity, or minus the distance.

    Raises ValueError for queries of other dimensions.
    """
    asked, train = embed(objective, queries, layer), tensors["train"]
    if asked.shape[1] != train.shape[1]:
        raise ValueError(
            f"the queries have {asked.shape[1]} dimensions in {layer!r}, the training examples "
            f"{train.shape[1]}: give queries of the same shape, or name a layer behind which sizes agree."
        )
    if metric == "cosine":
        return cosine_similarity(asked, train)
    if metric == "mahalanobis":
        asked = spread_of(tensors).whiten(asked)
    return -euclidean_distance(asked, train)


def class_labels(objective: Objective) -> Tensor | None:
    """The targets [n] of the training set if they are classes: one integer each, and no regression; else None."""
    targets = objective.train.targets().cpu()
    if targets.is_floating_point() or targets.ndim != 1 or isinstance(objective.task, Regression):
        return None
    return targets.long()


def needed_class_labels(objective: Objective, method: str) -> Tensor:
    """The same; raises ValueError where there are no classes."""
    labels = class_labels(objective)
    if labels is None:
        raise ValueError(
            f"{method} needs classes, and this {objective.task.name} task has none: "
            "use Similarity, or a classification task whose targets are class numbers [n]."
        )
    return labels


def check_metric(metric: str) -> None:
    """Raise ValueError for an unknown metric."""
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {list(get_args(Metric))}, not {metric!r}")


def describe(layer: str, embedding: Tensor, metric: str) -> dict[str, Any]:
    """The notes of a result: where was measured, in how many dimensions, how."""
    return {"layer": layer, "dimension": embedding.shape[1], "metric": metric}


def describe_spreads(named: Mapping[str, Spread]) -> dict[str, Any]:
    """The notes on covariances by name: how much each was shrunk (0: not at all), and why."""
    return {
        "shrinkage": {name: spread.shrinkage for name, spread in named.items()},
        "shrunk_because": {name: spread.reason for name, spread in named.items() if spread.reason},
    }

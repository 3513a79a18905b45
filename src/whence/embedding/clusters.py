"""The classes of a training set as clusters of embeddings: their centroids, and how far examples lie from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from whence.embedding.metrics import centroids, cosine_similarity, euclidean_distance, mahalanobis_distance
from whence.embedding.spread import Spread, fit_spread, spread_of

Metric: TypeAlias = Literal["cosine", "euclidean", "mahalanobis"]
SpreadOf: TypeAlias = Literal["class", "pooled"]


@final
@dataclass(frozen=True)
class Clusters:
    """``classes`` [c] with their centroids [c, d] and, for Mahalanobis distances, the spread of each.

    ``spreads`` [c] are one and the same where they are pooled; there are none for other metrics.
    """

    metric: Metric
    classes: Tensor
    centroids: Tensor
    spreads: tuple[Spread, ...] = ()

    def to_all(self, embedding: Tensor) -> Tensor:
        """From each embedding [n, d] to each centroid [n, c]: a distance, or the cosine similarity."""
        return torch.cat([self._to(embedding, number) for number in range(len(self.classes))], 1)

    def to_own(self, embedding: Tensor, member: Tensor) -> Tensor:
        """From each embedding [n, d] to the centroid of its class [n], given by position: ``member`` [n]."""
        found = torch.empty(len(embedding), dtype=torch.float64)
        for number in range(len(self.classes)):
            mine = member == number
            found[mine] = self._to(embedding[mine], number)[:, 0]
        return found

    def named_spreads(self) -> dict[str, Spread]:
        """The spreads by the class they are of, or as "pooled"."""
        listed = zip(self.classes.tolist(), self.spreads, strict=False)
        return {"pooled" if spread.means > 1 else str(label): spread for label, spread in listed}

    def tensors(self) -> dict[str, Tensor]:
        """All that it holds but the metric, as tensors by name; a spread that classes share is there once."""
        places = [next(k for k, other in enumerate(self.spreads) if other is spread) for spread in self.spreads]
        found = {"classes": self.classes, "centroids": self.centroids, "spread": torch.tensor(places, dtype=torch.long)}
        for k in set(places):
            found |= {f"spread.{k}.{name}": value for name, value in self.spreads[k].tensors().items()}
        return found

    def _to(self, embedding: Tensor, number: int) -> Tensor:
        centroid = self.centroids[number : number + 1]
        if self.metric == "mahalanobis":
            return mahalanobis_distance(centroid, embedding, self.spreads[number]).T
        compare = cosine_similarity if self.metric == "cosine" else euclidean_distance
        return compare(centroid, embedding).T


def clusters_of(tensors: Mapping[str, Tensor], metric: Metric) -> Clusters:
    """The clusters whose ``tensors()`` these are."""
    places = tensors["spread"].tolist()
    spreads = {}
    for k in set(places):
        prefix = f"spread.{k}."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        spreads[k] = spread_of(own)
    return Clusters(metric, tensors["classes"], tensors["centroids"], tuple(spreads[k] for k in places))


def fit_clusters(train: Tensor, labels: Tensor, metric: Metric, spread: SpreadOf = "class") -> Clusters:
    """The clusters of embeddings [n, d] by their labels [n].

    ``spread``: Mahalanobis distances by the covariance of the class itself, or by the pooled one within classes (as
    K. Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial attacks",
    NeurIPS 2018, Eq. 1). A class of one example, or of equal ones, has no covariance of its own: it takes the pooled.
    Raises ValueError where not even the pooled one exists; see :func:`whence.embedding.spread.fit_spread`.
    """
    classes, means = centroids(train, labels)
    if metric != "mahalanobis":
        return Clusters(metric, classes, means)
    groups = [train[labels == label] for label in classes]
    alone = [spread == "pooled" or not _varies(group) for group in groups]
    pooled = fit_spread(train, labels) if any(alone) else None
    spreads = [
        pooled if without and pooled else fit_spread(group) for group, without in zip(groups, alone, strict=True)
    ]
    return Clusters(metric, classes, means, tuple(spreads))


def _varies(group: Tensor) -> bool:
    return bool((group != group[0]).any())

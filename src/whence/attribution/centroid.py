"""How far examples lie from the centroids of their classes in an embedding, alone and in relation to a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from whence import results
from whence.attribution import embedded
from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.embedding.activations import INPUT
from whence.embedding.clusters import Clusters, Metric, SpreadOf, clusters_of, fit_clusters
from whence.examples import Examples
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.task import AbstractTask

# The smallest size of a denominator of the relationship, as a share of the median one.
FLOOR = 1e-6


@final
@dataclass(frozen=True)
class CentroidDistance(AbstractAttributor):
    """How far each training example lies from the centroid of its own class in a layer, the same for every query.

    Large: an outlier of its class. ``metric``: ``"mahalanobis"``: √((x − m)ᵀS⁻¹(x − m)); ``"euclidean"``: ‖x − m‖;
    ``"cosine"``: the distance 1 − x·m/(‖x‖‖m‖). ``spread``: what S is: the covariance of the ``"class"`` itself (a
    class of fewer than two different examples takes the pooled one) or the ``"pooled"`` one within classes. S is
    shrunk where it is singular or its condition number exceeds 1e8; ``notes`` of the result say which, how much and
    why. ``layer``: see :class:`whence.Similarity`.

    Sources: A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning Models", MSc thesis,
    Chalmers 2018, sections 2.4, 4.2.5 and Figure 5.16; with the pooled covariance K. Lee et al., "A simple unified
    framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018, Eq. 1 and 2.

    Raises ValueError for an unknown metric or spread; when fitted, ValueError if the targets are no classes, and as
    Similarity does for its layer.
    """

    layer: str = INPUT
    metric: Metric = "mahalanobis"
    spread: SpreadOf = "class"

    def __post_init__(self) -> None:
        _check(self.metric, self.spread)

    @property
    def name(self) -> str:
        return f"centroid distance ({_words(self.metric, self.spread)}, {self.layer})"

    @property
    def sign(self) -> str:
        return results.FAR

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        word = embedded.WORDS[self.metric]
        return f"{word} distance from the class centroid in {self.layer}", embedded.UNITS[self.metric]

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        found = _fitted(objective, self.name, self.layer, self.metric, self.spread)
        return Prepared({"distance": 1 - found.own if self.metric == "cosine" else found.own}, notes=found.notes)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["distance"].expand(len(queries), -1), solver_report())

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["distance"], solver_report())


@final
@dataclass(frozen=True)
class CentroidRelationship(AbstractAttributor):
    """d(q, m_c) / d(i, m_c) for query q and training example i of class c with centroid m_c, in a layer.

    d is the Euclidean or the Mahalanobis distance; for ``metric="cosine"`` it is the cosine *similarity*, as in the
    source, so that the ratio grows with the query's nearness there and with its distance elsewhere.

    An example that lies on its centroid, as one alone in its class does, would divide by zero: a denominator is taken
    no smaller in size than 1e-6 of the median one (with its sign; zero as positive). Its ratio is then very large and
    finite, and ``notes["floored"]`` counts such examples. ``layer`` and ``spread`` as for
    :class:`whence.CentroidDistance`.

    Source: A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning Models", MSc thesis,
    Chalmers 2018, section 4.2.5, there with cosine similarity.

    Raises ValueError as CentroidDistance does, and if all training examples lie on their centroids.
    """

    layer: str = INPUT
    metric: Metric = "cosine"
    spread: SpreadOf = "class"

    def __post_init__(self) -> None:
        _check(self.metric, self.spread)

    @property
    def name(self) -> str:
        return f"centroid relationship ({_words(self.metric, self.spread)}, {self.layer})"

    @property
    def sign(self) -> str:
        return results.NEAR

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        kind = "cosine similarities" if self.metric == "cosine" else f"{embedded.WORDS[self.metric]} distances"
        return f"ratio of {kind} with the class centroid in {self.layer}", "none"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        found = _fitted(objective, self.name, self.layer, self.metric, self.spread)
        size = found.own.abs()
        if not bool((size > 0).any()):
            raise ValueError(
                f"every training example lies on the centroid of its class in {self.layer!r}: name another layer."
            )
        least = FLOOR * size[size > 0].median()
        signed = torch.where(found.own < 0, -least, least)
        notes = {**found.notes, "floored": int((size < least).sum())}
        denominator = torch.where(size < least, signed, found.own)
        tensors = {"own": found.own, "denominator": denominator, "member": found.member, **found.clusters.tensors()}
        return Prepared(tensors, notes=notes)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        kept = prepared.tensors
        clusters = clusters_of(kept, self.metric)
        asked = clusters.to_all(embedded.embed(objective, queries, self.layer))
        return Scored(asked[:, kept["member"]] / kept["denominator"], solver_report())

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["own"] / prepared.tensors["denominator"], solver_report())


@dataclass(frozen=True)
class _Fitted:
    """Clusters, each example's class by position [n], and its distance or similarity to its own centroid [n]."""

    clusters: Clusters
    member: Tensor
    own: Tensor
    notes: Mapping[str, Any]


def _fitted(objective: Objective, method: str, layer: str, metric: Metric, spread: SpreadOf) -> _Fitted:
    labels = embedded.needed_class_labels(objective, method)
    train = embedded.embed(objective, objective.train, layer)
    clusters = fit_clusters(train, labels, metric, spread)
    member = torch.searchsorted(clusters.classes, labels)
    notes = embedded.describe(layer, train, metric)
    if metric == "mahalanobis":
        notes |= embedded.describe_spreads(clusters.named_spreads())
    return _Fitted(clusters, member, clusters.to_own(train, member), notes)


def _check(metric: str, spread: str) -> None:
    embedded.check_metric(metric)
    if spread not in ("class", "pooled"):
        raise ValueError(f"spread must be 'class' or 'pooled', not {spread!r}")


def _words(metric: str, spread: str) -> str:
    return f"{metric}, pooled" if metric == "mahalanobis" and spread == "pooled" else metric

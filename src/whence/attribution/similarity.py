"""Nearness in an embedding: what the examples that look alike to a layer would say of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from whence import results
from whence.attribution import embedded
from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.embedding.activations import INPUT
from whence.embedding.clusters import Metric
from whence.examples import Examples
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class Similarity(AbstractAttributor):
    """How near each training example lies to the query in a layer; larger is nearer.

    ``layer``: a name out of :func:`whence.embedding.activations.layer_names`; ``"input"`` is pixel space, ``"output"``
    what the model returns. ``metric``: ``"cosine"``: p·q/(‖p‖‖q‖), 0 for a zero vector; ``"euclidean"``: −‖p − q‖;
    ``"mahalanobis"``: −√((p − q)ᵀS⁻¹(p − q)), with S the pooled covariance within classes where the targets are
    classes and the covariance about the mean elsewhere, shrunk where it is singular or its condition number exceeds
    1e8; ``notes`` of the result say how much. These are no changes of a measurement: compare them by rank.

    An example's similarity with itself (``self_influence``) is the largest there is, 1 or 0.

    Sources: A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning Models", MSc thesis,
    Chalmers 2018, Eq. 2.13 and 2.14, section 4.2.5; P. C. Mahalanobis, "On the generalised distance in statistics",
    1936; for the shrinkage Ledoit and Wolf 2004, see :mod:`whence.embedding.spread`.

    Raises ValueError for an unknown metric; when fitted, KeyError for an unknown layer and ValueError for a layer that
    gives no embedding, see :func:`whence.embedding.activations.activations`.
    """

    layer: str = INPUT
    metric: Metric = "cosine"

    def __post_init__(self) -> None:
        embedded.check_metric(self.metric)

    @property
    def name(self) -> str:
        return f"similarity ({self.metric}, {self.layer})"

    @property
    def sign(self) -> str:
        return results.NEAR

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        word = embedded.WORDS[self.metric]
        what = (
            f"cosine similarity of {self.layer}"
            if self.metric == "cosine"
            else f"minus {word} distance in {self.layer}"
        )
        return what, embedded.UNITS[self.metric]

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        tensors, notes = embedded.placed(objective, self.layer, self.metric)
        return Prepared(tensors, notes=notes)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return Scored(embedded.nearness(objective, prepared.tensors, queries, self.layer, self.metric), solver_report())

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        train = prepared.tensors["train"]
        nearest = (train != 0).any(1).double() if self.metric == "cosine" else torch.zeros(len(train)).double()
        return Scored(nearest, solver_report())

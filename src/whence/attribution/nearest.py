"""kNN-Shapley (Jia, Dao, Wang et al., VLDB 2019): the Shapley value of each example for a k-nearest-neighbour vote.

The value of a set S of training examples for query q is the share of its k nearest members that have the query's label,
v(S) = (1/k) Σ_{j ≤ min(k, |S|)} 1[y_j = y_q]. With the n examples in order of nearness, nearest first, their Theorem 1
gives the exact Shapley values by one pass from the farthest example to the nearest:

    s_n = 1[y_n = y_q]·min(k, n)/(n·k),    s_j = s_{j+1} + (1[y_j = y_q] − 1[y_{j+1} = y_q])/k · min(k, j)/j

They add up to v of the whole training set. Negative values are of examples that crowd out better neighbours. The model
serves as a measure of nearness alone, by the embedding in one of its layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

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
class KNNShapley(AbstractAttributor):
    """``k``: neighbours that vote. ``layer``, ``metric``: where and how nearness is measured, as for Similarity.

    Of examples that lie equally near the one with the smaller id counts as nearer, so that their values depend on
    their ids and not on their order. Values are shares of the vote, no changes of the measurement: compare by rank.

    Raises ValueError for ``k`` < 1 and an unknown metric; when fitted, if the targets are no classes, and as Similarity
    does for its layer.
    """

    k: int = 5
    layer: str = INPUT
    metric: Metric = "euclidean"

    def __post_init__(self) -> None:
        embedded.check_metric(self.metric)
        if self.k < 1:
            raise ValueError(f"k must be at least 1, not {self.k}: it is how many neighbours vote")

    @property
    def name(self) -> str:
        return f"kNN-Shapley (k = {self.k}, {self.metric}, {self.layer})"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return f"Shapley value in the vote of {self.k} neighbours in {self.layer}", "share of the vote"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        labels = embedded.needed_class_labels(objective, "kNN-Shapley")
        tensors, notes = embedded.placed(objective, self.layer, self.metric)
        return Prepared({**tensors, "labels": labels}, notes=notes)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        near = embedded.nearness(objective, prepared.tensors, queries, self.layer, self.metric)
        by_id = np.argsort(objective.train.ids, kind="stable")
        ranked = torch.from_numpy(by_id)[torch.sort(-near[:, by_id], dim=1, stable=True).indices]
        agrees = (prepared.tensors["labels"][ranked] == queries.targets().cpu()[:, None]).double()
        return Scored(torch.zeros_like(near).scatter(1, ranked, shapley_values(agrees, self.k)), solver_report())


def shapley_values(agrees: Tensor, k: int) -> Tensor:
    """The values [query, n] of neighbours in order of nearness from whether their labels agree with the query's."""
    n = agrees.shape[1]
    place = torch.arange(1, n + 1, dtype=agrees.dtype)
    share = place.clamp(max=k) / (place * k)
    # the last one's own value, and for each other what it has more than the next
    steps = torch.cat([agrees[:, :-1] - agrees[:, 1:], agrees[:, -1:]], 1) * share
    return steps.flip(1).cumsum(1).flip(1)

"""How well a ranking finds what is looked for: average precision, area under the ROC curve, recall among the first k.

Each is a function of counts [resample, n], how often each example was drawn, so that all resamples of a bootstrap are
done at once; ``np.ones((1, n))`` gives the statistic itself. Examples that tie are taken together, and recall at k is
its expectation over random tie-breaks, so the order of the examples never matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Examples sorted by ``score``, largest first, of which some are ``wanted`` [n].

    Raises ValueError unless all scores are finite and some, not all, examples are wanted.
    """

    score: npt.NDArray[Any]
    wanted: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.score.shape != self.wanted.shape or self.score.ndim != 1:
            raise ValueError(f"scores {self.score.shape} and marks {self.wanted.shape}: give one of each an example")
        if not np.isfinite(self.score).all():
            raise ValueError(f"{int((~np.isfinite(self.score)).sum())} scores are not finite; leave those examples out")
        if not 0 < self.wanted.sum() < len(self.wanted):
            raise ValueError(
                f"{int(self.wanted.sum())} of {len(self.wanted)} examples are marked; a detection needs some, not all"
            )

    def average_precision(self, counts: Array) -> Array:
        """Σ (recall_j − recall_{j−1})·precision_j over the distinct scores [resample]; by chance the share wanted."""
        hits, seen = self._cumulated(counts)
        gained = np.diff(hits, axis=1, prepend=0.0)
        precision = hits / np.maximum(seen, 1e-300)
        return _over((gained * precision).sum(1), hits[:, -1])

    def roc_auc(self, counts: Array) -> Array:
        """The chance that one that is wanted has a larger score than one that is not, ties half [resample]."""
        hits, seen = self._cumulated(counts)
        misses = seen - hits
        gained, before = np.diff(hits, axis=1, prepend=0.0), hits - np.diff(hits, axis=1, prepend=0.0)
        stepped = np.diff(misses, axis=1, prepend=0.0)
        return _over((stepped * (before + 0.5 * gained)).sum(1), hits[:, -1] * misses[:, -1])

    def recall(self, k: int, counts: Array) -> Array:
        """The share of those wanted that are among the first ``k`` of n [resample]; by chance k/n."""
        hits, seen = self._cumulated(counts)
        found = np.empty(len(counts))
        for row in range(len(counts)):
            found[row] = np.interp(k, np.concatenate([[0.0], seen[row]]), np.concatenate([[0.0], hits[row]]))
        return _over(found, hits[:, -1])

    def _cumulated(self, counts: Array) -> tuple[Array, Array]:
        """(how many wanted, how many in all) down to each distinct score [resample, distinct], largest first."""
        order = np.argsort(-self.score, kind="stable")
        starts = np.flatnonzero(np.diff(self.score[order], prepend=np.inf))
        drawn = counts[:, order]
        wanted = np.add.reduceat(drawn * self.wanted[order], starts, axis=1)
        return np.cumsum(wanted, axis=1), np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1)


def _over(part: Array, whole: Array) -> Array:
    """part/whole, NaN where a resample drew none (or nothing else)."""
    found: Array = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
    return found

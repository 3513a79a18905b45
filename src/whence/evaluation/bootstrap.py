"""Percentile bootstrap (Efron, Ann. Statist. 1979) of correlations over removals, paired and vectorised.

A resample is kept as the number of times each pair was drawn, so a statistic of all resamples at once is a weighted
statistic of the original pairs: no sorting inside a resample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from whence.evaluation import statistics

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, Array, Array], Array]
BLOCK = 2_000_000
UNDEFINED = (np.nan, np.nan)


@dataclass(frozen=True)
class Bootstrap:
    """Intervals from ``resamples`` draws with replacement; 0 resamples give NaN intervals.

    The draws hang on ``seed`` and the number of pairs only, so that methods judged on the same removals are compared
    on the same resamples. Raises ValueError for a negative number of resamples or a confidence outside (0, 1).
    """

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95
    _counts: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.resamples < 0:
            raise ValueError(f"resamples must be 0 (no interval) or more, not {self.resamples}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, for example 0.95, not {self.confidence}")

    def pearson(self, x: Array, y: Array) -> tuple[float, float]:
        """Interval of Pearson's correlation of ``x`` [n] and ``y`` [n]."""
        return self._interval(x, y, weighted_pearson)

    def spearman(self, x: Array, y: Array) -> tuple[float, float]:
        """Interval of Spearman's correlation of ``x`` [n] and ``y`` [n]; every resample is ranked anew."""
        return self._interval(x, y, weighted_spearman)

    def median(self, values: Array) -> tuple[float, float]:
        """Interval of the median of the finite ``values`` [n]; NaN below two of them."""
        finite = values[np.isfinite(values)]
        if len(finite) < 2 or self.resamples == 0:
            return UNDEFINED
        generator = np.random.default_rng([self.seed, len(finite)])
        drawn = generator.integers(len(finite), size=(self.resamples, len(finite)))
        return self._percentiles(np.median(finite[drawn], axis=1))

    def interval(self, n: int, statistic: Callable[[Array], Array]) -> tuple[float, float]:
        """Interval of any statistic of ``n`` examples: from counts [resample, n] to a number a resample."""
        if self.resamples == 0 or n == 0:
            return UNDEFINED
        return self._percentiles(np.concatenate([statistic(counts) for counts in self._blocks(n)]))

    def _interval(self, x: Array, y: Array, statistic: Statistic) -> tuple[float, float]:
        if self.resamples == 0 or np.isnan(statistics.pearson(x, y)):
            return UNDEFINED
        return self._percentiles(np.concatenate([statistic(x, y, counts) for counts in self._blocks(len(x))]))

    def _blocks(self, n: int) -> Iterator[Array]:
        """Counts [resample, n] in blocks that bound the memory."""
        if n not in self._counts:
            generator = np.random.default_rng([self.seed, n])
            self._counts[n] = generator.multinomial(n, np.full(n, 1 / n), size=self.resamples).astype(np.int32)
        size = max(1, BLOCK // n)
        for start in range(0, self.resamples, size):
            yield self._counts[n][start : start + size].astype(np.float64)

    def _percentiles(self, drawn: Array) -> tuple[float, float]:
        defined = drawn[np.isfinite(drawn)]
        if len(defined) == 0:
            return UNDEFINED
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return float(low), float(high)


def weighted_pearson(x: npt.NDArray[Any], y: npt.NDArray[Any], counts: Array) -> Array:
    """Pearson's correlation [resample] of ``x``, ``y`` [n] drawn ``counts`` [resample, n] times; NaN if constant."""
    # Deviations from each resample's own mean: moments would drown in rounding where a resample misses an outlier.
    total = counts.sum(axis=1)
    x, y = (values - (counts @ values / total)[:, None] for values in (_scaled(x), _scaled(y)))
    return _correlation(x, y, counts)


def weighted_spearman(x: npt.NDArray[Any], y: npt.NDArray[Any], counts: Array) -> Array:
    """Spearman's correlation [resample] of ``x``, ``y`` [n] drawn ``counts`` [resample, n] times; NaN if constant."""
    # The mean rank of n values is (n + 1) / 2 whatever the ties.
    centre = (counts.sum(axis=1, keepdims=True) + 1) / 2
    rank_x, rank_y = _ranks(x, counts) - centre, _ranks(y, counts) - centre
    return _correlation(rank_x, rank_y, counts)


def _ranks(values: npt.NDArray[Any], counts: Array) -> Array:
    """Mean rank [resample, n] of each value within its resample."""
    order = np.argsort(values, kind="stable")
    distinct, starts, inverse = np.unique(values[order], return_index=True, return_inverse=True)
    drawn = counts[:, order]
    if len(distinct) < len(values):
        drawn = np.add.reduceat(drawn, starts, axis=1)
    rank = np.cumsum(drawn, axis=1) - drawn / 2 + 0.5
    back = np.empty_like(order)
    back[order] = inverse
    ranks: Array = rank[:, back]
    return ranks


def _scaled(values: npt.NDArray[Any]) -> Array:
    centred = values / np.abs(values).max()
    centred = centred - centred.mean()
    scaled: Array = centred / np.abs(centred).max()
    return scaled


def _correlation(x: Array, y: Array, counts: Array) -> Array:
    """Correlation [resample] of deviations ``x``, ``y`` [resample, n] with weights ``counts``."""
    xx, yy, xy = (np.einsum("rn,rn,rn->r", counts, a, b) for a, b in ((x, x), (y, y), (x, y)))
    # Below this a spread is rounding: the resample drew one value only.
    defined = (xx > 1e-26) & (yy > 1e-26)
    scale = np.sqrt(np.where(defined, xx * yy, 1.0))
    return np.where(defined, np.clip(xy / scale, -1.0, 1.0), np.nan)

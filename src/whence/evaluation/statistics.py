"""Statistics of agreement between predicted and actual effects, each of two arrays [n]; NaN where undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
SMALLEST_GROUP = 3


def pearson(x: Array, y: Array) -> float:
    """Pearson's correlation; NaN below 3 pairs, for a constant side or for values that are not finite."""
    if len(x) < SMALLEST_GROUP or not np.isfinite([x, y]).all() or constant(x) or constant(y):
        return np.nan
    x, y = (np.asarray(values, dtype=np.float64) for values in (x, y))  # of scores that may be in float32
    return _cosine(x - x.mean(), y - y.mean())


def spearman(x: Array, y: Array) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; NaN where :func:`pearson` is."""
    if not np.isfinite([x, y]).all():
        return np.nan
    return pearson(rankdata(x), rankdata(y))


def within_sign_pearson(predicted: Array, actual: Array) -> float:
    """Pearson's correlation pooled within the sign groups (+, -, 0) of the actual effect.

    Removals chosen by the size of their score form a helpful and a harmful cluster, as in Fig. 2 of Koh and Liang
    (ICML 2017), and the distance between two clusters alone makes r large. Here the mean of its group is subtracted
    from each value first, so that only the agreement inside the clusters counts. Groups below 3 members are dropped.
    """
    if not np.isfinite([predicted, actual]).all():
        return np.nan
    signs = np.sign(actual)
    groups = [signs == sign for sign in np.unique(signs) if (signs == sign).sum() >= SMALLEST_GROUP]
    if not groups:
        return np.nan
    x, y = (np.concatenate([_deviations(values[group]) for group in groups]) for values in (predicted, actual))
    return _cosine(x, y) if x.any() and y.any() else np.nan


def top_k_overlap(predicted: Array, actual: Array, k: int) -> float:
    """Share of the ``k`` largest actual effects, by absolute value, that the ``k`` largest predictions name.

    Where values tie at the k-th place the expectation over random tie-breaks is returned, so that the order of the
    removals never matters. ``k`` above n is n. NaN for no removals or values that are not finite.
    """
    k = min(k, len(actual))
    if k == 0 or not np.isfinite([predicted, actual]).all():
        return np.nan
    return float(share_in_top(np.abs(predicted), k) @ share_in_top(np.abs(actual), k) / k)


def share_in_top(size: Array, k: int) -> Array:
    """How far each value is among the ``k`` largest: 1, 0, or its chance over random tie-breaks at the k-th place."""
    threshold = np.partition(size, -k)[-k]
    above, level = size > threshold, size == threshold
    share: Array = above + level * ((k - above.sum()) / level.sum())
    return share


def retest(effects: Array) -> float:
    """Test-retest: mean pairwise Pearson correlation of the repetitions ``effects`` [seed, n]; NaN with one of them.

    No method can be expected to agree with the truth much better than the truth agrees with itself.
    """
    pairs = [pearson(effects[i], effects[j]) for i in range(len(effects)) for j in range(i)]
    return float(np.mean(pairs)) if pairs else np.nan


def constant(values: npt.NDArray[Any]) -> bool:
    """Whether the values differ by no more than rounding."""
    return bool(np.ptp(values) <= 1e-13 * np.abs(values).max())


def _deviations(values: Array) -> Array:
    return np.zeros_like(values) if constant(values) else values - values.mean()


def _cosine(x: Array, y: Array) -> float:
    # Scaled first: effects of 1e-200 must not underflow when squared.
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))

"""Whether two ways of picking examples pick the same ones, and whether one group has larger values than the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from whence import results


@dataclass(frozen=True)
class Overlap:
    """``count`` shared ids, and what chance would give.

    ``expected``, ``low``, ``high``: mean and central interval of the hypergeometric distribution, of two sets drawn at
    random; ``p_value``: the chance of at least ``count``; ``share``: of the smaller set, with the Clopper-Pearson
    interval ``share_low``, ``share_high`` (Biometrika, 1934).
    """

    count: int
    expected: float
    low: float
    high: float
    p_value: float
    share: float
    share_low: float
    share_high: float


def overlap(first: Iterable[Any], second: Iterable[Any], total: int, confidence: float = 0.95) -> Overlap:
    """How many ids ``first`` and ``second`` share, both drawn from ``total`` examples.

    Raises ValueError if a set is empty, names an id twice or is larger than ``total``, or for an impossible confidence.
    """
    one, other = _distinct(first), _distinct(second)
    if not 0 < min(len(one), len(other)) <= max(len(one), len(other)) <= total:
        raise ValueError(f"sets of {len(one)} and {len(other)} ids out of {total}: give one id or more, at most all")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, for example 0.95, not {confidence}")
    count, smaller = len(one & other), min(len(one), len(other))
    chance = stats.hypergeom(total, len(one), len(other))
    low, high = chance.interval(confidence)
    share = stats.binomtest(count, smaller).proportion_ci(confidence, method="exact")
    return Overlap(
        count,
        float(chance.mean()),
        float(low),
        float(high),
        float(chance.sf(count - 1)),
        count / smaller,
        float(share.low),
        float(share.high),
    )


def farthest(distance: xr.DataArray, share: float = 0.1) -> xr.DataArray:
    """Which examples [train] are among the ``share`` with the largest distance of their own class, at least one each.

    As in Fig. 5.16 of Brinkman and Larsson Hörkén (MSc thesis, Chalmers 2018).
    Raises ResultError without ``train_label``, ValueError for a share outside (0, 1) or distances that are not finite.
    """
    if distance.dims != ("train",) or "train_label" not in distance.coords:
        raise results.ResultError(f"distances are [train] with the coordinate train_label, not {distance.dims}")
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, for example 0.1, not {share}")
    values = np.asarray(distance.values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{int((~np.isfinite(values)).sum())} distances are not finite; leave those examples out first"
        )
    far = np.zeros(len(values), dtype=bool)
    label = distance["train_label"].values
    for name in np.unique(label):
        mine = np.flatnonzero(label == name)
        far[mine[np.argsort(-values[mine], kind="stable")[: max(1, round(share * len(mine)))]]] = True
    return xr.DataArray(far, dims=("train",), coords={name: distance[name] for name in ("train", "train_label")})


def compare_groups(values: xr.DataArray, mask: xr.DataArray, resamples: int = 2000, seed: int = 0) -> dict[str, float]:
    """The marked examples' values beside the rest's: sizes, medians, their ratio with a bootstrap interval, AUC and p.

    ``auc``: the chance that a marked example has the larger value (Mann and Whitney 1947), with its two-sided p-value.
    A ratio to a median of 0 is NaN; its interval is NaN too if the rest's median is 0 in any resample.

    Aligned by id; raises ResultError if the ids differ, ValueError if a group has fewer than two members, a value is
    not finite or there are no resamples.
    """
    if set(values["train"].values.tolist()) != set(mask["train"].values.tolist()):
        raise results.ResultError("values and mask hold different ids; select the ids that both have")
    marked = mask.sel(train=values["train"].values).values.astype(bool)
    numbers = np.asarray(values.values, dtype=np.float64)
    far, rest = numbers[marked], numbers[~marked]
    if min(len(far), len(rest)) < 2:
        raise ValueError(f"groups of {len(far)} and {len(rest)}: each needs two members or more")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{int((~np.isfinite(numbers)).sum())} values are not finite; leave those examples out first")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, for example 2000, not {resamples}")
    test = stats.mannwhitneyu(far, rest)
    generator = np.random.default_rng(seed)
    drawn = [np.median(generator.choice(group, (resamples, len(group))), axis=1) for group in (far, rest)]
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975]) if drawn[1].all() else (np.nan, np.nan)
    middles = float(np.median(far)), float(np.median(rest))
    return {
        "marked": len(far),
        "rest": len(rest),
        "median_marked": middles[0],
        "median_rest": middles[1],
        "ratio": middles[0] / middles[1] if middles[1] else np.nan,
        "ratio_low": float(low),
        "ratio_high": float(high),
        "auc": float(test.statistic / (len(far) * len(rest))),
        "p": float(test.pvalue),
    }


def _distinct(ids: Iterable[Any]) -> set[Any]:
    listed = np.asarray(list(ids)).tolist()
    found = set(listed)
    if len(found) != len(listed):
        raise ValueError("a set names an id twice; give each once")
    return found

"""The linear datamodeling score (Park et al., TRAK, ICML 2023): do scores rank what happens on random subsets?

For each query the effect of a subset is predicted as the sum of the scores of what it leaves out, and Spearman's
correlation of predicted and actual effects over the subsets is taken; the score is its mean over the queries. (Park et
al. sum the scores of what is kept, which is the total minus that, against the loss instead of its change: the same.)

Two kinds of chance are in it, which subsets were drawn and which queries were asked, so intervals are given over each
and over both (crossed resampling: Owen, Ann. Appl. Stat. 2007). A truth with several seeds also says how far it agrees
with itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence import results
from whence.comparison import Aligned, Array, aligned
from whence.evaluation import statistics
from whence.evaluation.bootstrap import UNDEFINED, Bootstrap, weighted_spearman


def linear_datamodeling(
    scores: xr.DataArray, truth: xr.Dataset, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """The score of ``scores`` [query, train] on a ``truth`` of subsets: one row a sample of subsets.

    Columns:
      method, kind, sample, chosen: whose scores, which truth, which subsets and how they were drawn;
      queries, undefined: how many, and how many of them have no correlation (constant scores, say) and are left out;
      n, removed, seeds: subsets, examples that each leaves out (median), seeds of the truth;
      lds: the mean over queries, with percentile bootstrap intervals ``_low``, ``_high`` over subsets and queries,
      ``_low_subsets``, ``_high_subsets`` over subsets alone, ``_low_queries``, ``_high_queries`` over queries alone;
      retest: mean Spearman correlation between two seeds of the truth, NaN with one;
      attainable: what a perfect method would be expected to reach against the mean of the seeds, √(k·r/(1 + (k−1)·r))
      with r = retest and k seeds (Spearman 1910, Brown 1910); NaN with one seed.

    Ranks need no common quantity, but signs must agree. Raises ResultError for a truth of single removals, for other
    signs, or if ids of the truth are absent from the scores.
    """
    together, bootstrap = aligned(scores, truth), Bootstrap(resamples, seed, confidence)
    if not (together.members > 1).any():
        raise results.ResultError(
            "this truth leaves out one example at a time: use agreement(), or retrain_on_subsets() for subsets"
        )
    _check_signs(scores, truth)
    about = {"method": scores.attrs["method"], "kind": truth.attrs["kind"]}
    rows = []
    for sample, chosen in together.samples.items():
        if not (chosen == chosen[0]).all():
            raise results.ResultError(f"the sample {sample!r} has other subsets for other queries; use agreement()")
        how = {"sample": sample, "chosen": str(truth.attrs.get("chosen", "as given"))}
        rows.append(about | how | _row(together, chosen[0], bootstrap))
    return pd.DataFrame(rows)


def _row(together: Aligned, chosen: Any, bootstrap: Bootstrap) -> dict[str, Any]:
    predicted, repeated = together.predicted[:, chosen], together.actual[:, chosen]
    actual = repeated.mean(2)
    each = np.array([statistics.spearman(x, y) for x, y in zip(predicted, actual, strict=True)])
    defined = np.isfinite(each)
    row: dict[str, Any] = {"queries": len(each), "undefined": int((~defined).sum()), "n": int(chosen.sum())}
    row |= {"removed": float(np.median(together.members[chosen])), "seeds": repeated.shape[2]}
    row["lds"] = float(each[defined].mean()) if defined.any() else np.nan
    intervals = _intervals(predicted[defined], actual[defined], bootstrap)
    for name, (low, high) in zip(("", "_subsets", "_queries"), intervals, strict=True):
        row |= {f"lds_low{name}": low, f"lds_high{name}": high}
    return row | _self_agreement(repeated)


def _intervals(predicted: Array, actual: Array, bootstrap: Bootstrap) -> list[tuple[float, float]]:
    """Over subsets and queries, over subsets, over queries; of ``predicted``, ``actual`` [query, subset]."""
    queries, n = predicted.shape
    if queries == 0 or bootstrap.resamples == 0:
        return [UNDEFINED] * 3
    generator = np.random.default_rng([bootstrap.seed, queries, n])

    def over(resample_queries: bool) -> tuple[float, float]:
        def statistic(counts: Array) -> Array:
            drawn = np.stack([weighted_spearman(x, y, counts) for x, y in zip(predicted, actual, strict=True)], 1)
            if resample_queries:
                drawn = np.take_along_axis(drawn, generator.integers(queries, size=drawn.shape), axis=1)
            found: Array = drawn.mean(1)
            return found

        return bootstrap.interval(n, statistic)

    each = np.array([statistics.spearman(x, y) for x, y in zip(predicted, actual, strict=True)])
    of_queries = bootstrap.interval(queries, lambda counts: counts @ each / counts.sum(1)) if queries > 1 else UNDEFINED
    return [over(queries > 1), over(False), of_queries]


def _self_agreement(repeated: Array) -> dict[str, float]:
    """Of effects [query, subset, seed]."""
    seeds = repeated.shape[2]
    pairs = [statistics.spearman(one[:, i], one[:, j]) for one in repeated for i in range(seeds) for j in range(i)]
    known = [value for value in pairs if np.isfinite(value)]
    if not known:
        return {"retest": np.nan, "attainable": np.nan}
    retest = float(np.mean(known))
    reliability = seeds * retest / (1 + (seeds - 1) * retest) if retest > 0 else 0.0
    return {"retest": retest, "attainable": float(np.sqrt(reliability))}


def _check_signs(scores: xr.DataArray, truth: xr.Dataset) -> None:
    """Methods that say nothing of help and harm are ranked as they are: nearer, and farther with a minus, is asked."""
    known = (truth.attrs["sign"], results.NEAR)
    if scores.attrs["sign"] not in known:
        raise results.ResultError(
            f"the signs differ: scores are {scores.attrs['sign']!r}, the truth {truth.attrs['sign']!r}. "
            "Turn the scores to the truth's sign first."
        )

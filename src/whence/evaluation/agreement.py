"""Agreement of scores with the truth: one table for leave-one-out and for subset retraining."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence import results
from whence.comparison import Aligned, Array, aligned
from whence.evaluation import statistics
from whence.evaluation.bootstrap import UNDEFINED, Bootstrap


def agreement(
    scores: xr.DataArray,
    truth: xr.Dataset,
    k: int = 10,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    *,
    rank_only: bool = False,
) -> pd.DataFrame:
    """How well ``scores`` [query, train] predict ``truth`` (``effect`` [removed, query, seed], mean over seeds).

    One row a (sample, query). The predicted effect of a removal is the sum of its members' scores; with subsets the
    Spearman correlation is the linear datamodeling score (LDS: Park et al., TRAK, ICML 2023), repeated as ``lds``.
    (They correlate what *remains*, which is the total minus what was removed on both sides: the same ranks.)

    Columns:
      method, kind, sample, query: whose scores, which truth ("proximal", ...), which removals, which query;
      n: removals in the sample; unconverged: those with a refit that did not converge (<NA> if the truth is silent);
      pearson, spearman: with ``_low`` and ``_high``, the percentile bootstrap interval over removals;
      within_sign_pearson: pooled inside the sign groups of the actual effect, see :mod:`.statistics`;
      top_k_overlap, k: shared part of the k largest by absolute value, k at most n;
      lds: the Spearman correlation where removals are subsets, NaN for leave-one-out;
      ceiling: test-retest Pearson between the seeds of the truth, NaN with one seed.

    ``rank_only`` leaves Pearson columns NaN, for scores that state another quantity than the truth (a cosine, say).

    Raises ResultError if ids of the truth are absent from the scores, if a result breaks the schema, or if quantity,
    unit or sign differ without ``rank_only``; ValueError for ``k`` < 1 or impossible bootstrap settings. Values that
    are not finite give NaN and a warning.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    bootstrap = Bootstrap(resamples, seed, confidence)
    together = aligned(scores, truth)
    if not rank_only:
        _require_same_quantity(scores, truth)
    rows = [
        {"method": scores.attrs["method"], "kind": truth.attrs["kind"], "sample": sample, "query": query}
        | _row(together, position, chosen[position], k, bootstrap, rank_only)
        for sample, chosen in together.samples.items()
        for position, query in enumerate(together.queries.tolist())
    ]
    _warn_of_values(together)
    return pd.DataFrame(rows).astype({"unconverged": "Int64"})


def _row(
    together: Aligned, position: int, chosen: Any, k: int, bootstrap: Bootstrap, rank_only: bool
) -> dict[str, Any]:
    predicted, repeated = together.predicted[position, chosen], together.actual[position, chosen]
    actual = repeated.mean(axis=1)
    rank = statistics.spearman(predicted, actual)
    unconverged = None if together.converged is None else int((~together.converged[chosen]).sum())
    row: dict[str, Any] = {"n": len(actual)}
    row |= _linear(predicted, actual, bootstrap, rank_only)
    row |= {"spearman": rank} | _bounds("spearman", bootstrap.spearman(predicted, actual))
    row |= {
        "within_sign_pearson": np.nan if rank_only else statistics.within_sign_pearson(predicted, actual),
        "top_k_overlap": statistics.top_k_overlap(predicted, actual, k),
        "k": min(k, len(actual)),
        "lds": rank if (together.members[chosen] > 1).any() else np.nan,
        "ceiling": statistics.retest(repeated.T),
        "unconverged": unconverged,
    }
    return row


def _linear(predicted: Array, actual: Array, bootstrap: Bootstrap, rank_only: bool) -> dict[str, Any]:
    if rank_only:
        return {"pearson": np.nan} | _bounds("pearson", UNDEFINED)
    interval = bootstrap.pearson(predicted, actual)
    return {"pearson": statistics.pearson(predicted, actual)} | _bounds("pearson", interval)


def _bounds(name: str, interval: tuple[float, float]) -> dict[str, Any]:
    return {f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _require_same_quantity(scores: xr.DataArray, truth: xr.Dataset) -> None:
    remedy = "Pass rank_only=True to compare them by rank."
    if not results.same_quantity(scores.attrs, truth.attrs):
        mine, theirs = (f"{r.attrs['quantity']!r} in {r.attrs['unit']!r}" for r in (scores, truth))
        raise results.ResultError(f"the quantities differ: scores state {mine}, the truth {theirs}. {remedy}")
    if scores.attrs["sign"] != truth.attrs["sign"]:
        mine, theirs = scores.attrs["sign"], truth.attrs["sign"]
        raise results.ResultError(
            f"the signs differ: scores are {mine!r}, the truth {theirs!r}. Turn the scores to the truth's sign first."
        )


def _warn_of_values(together: Aligned) -> None:
    # Effects that no sample holds are often not measured at all.
    held = np.any(list(together.samples.values()), axis=0)
    predicted = int((~np.isfinite(together.predicted[held])).sum())
    actual = int((~np.isfinite(together.actual[held])).sum())
    if predicted or actual:
        warnings.warn(
            f"{predicted} predicted and {actual} actual effects are not finite; the statistics over them are NaN. "
            "Leave those removals out of the truth, or repair the scores.",
            stacklevel=3,
        )

"""Checks that need no refit: what scores must not do, and what they should.

:func:`randomised_model`: scores that stay as they are when the model's parameters are drawn anew explain something else
than the model (Adebayo et al., NeurIPS 2018, for saliency maps; for training data as in quanda, Bareeva et al. 2024).
:func:`class_detection`, :func:`subclass_detection`: the training examples that help a prediction most should mostly
carry its class, or the hidden part of it (Hanawa et al., ICLR 2021). A method can pass all of them and be wrong; one
that fails them needs a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence import results
from whence.evaluation import statistics
from whence.evaluation.bootstrap import Bootstrap

Array = npt.NDArray[np.float64]


def randomised_model(
    scores: xr.DataArray,
    randomised: Sequence[xr.DataArray],
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How alike the ranks of the trained model's scores are to those of models with parameters drawn anew: one row.

    ``randomised``: scores by the same method of one or more such models (:func:`whence.models.reinitialised`).
    Columns: method, n (training examples), queries, models, undefined (pairs without a correlation, left out),
    spearman: the mean over queries and models, which should be near 0, with the percentile bootstrap interval over
    queries; largest: of a single query and model, by absolute value.
    Aligned by id; raises ResultError if ids differ or the other scores are of another method or of the same checkpoint.
    """
    array, bootstrap = results.check(scores), Bootstrap(resamples, seed, confidence)
    if not randomised:
        raise ValueError("give the scores of at least one model with parameters drawn anew")
    each = np.stack([_ranks_alike(array, other) for other in randomised], 1)
    known = np.isfinite(each)
    row: dict[str, Any] = {"method": array.attrs["method"], "n": array.sizes["train"], "queries": len(each)}
    row |= {"models": each.shape[1], "undefined": int((~known).sum())}
    by_query = np.array([one[mine].mean() for one, mine in zip(each, known, strict=True) if mine.any()])
    largest = each[known][np.argmax(np.abs(each[known]))] if known.any() else np.nan
    return pd.DataFrame([row | _mean("spearman", by_query, bootstrap) | {"largest": float(largest)}])


def class_detection(
    scores: xr.DataArray,
    k: int = 10,
    of: Literal["label", "prediction"] = "label",
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Do the ``k`` training examples that help a query most carry its class? One row.

    ``of``: the query's label, whose loss is measured by default, or what the model predicts. Similarities and
    distances: the nearest. Columns: method, checked ("label"), n (queries), k, share: the mean share of the k that
    carry the query's class, with the percentile bootstrap interval over queries; chance: that of random examples.
    Raises ResultError where classes are not known, ValueError for an impossible ``k``.
    """
    array = results.check(scores)
    names = (f"query_{of}", "train_label")
    if any(name not in array.coords or array[name].dtype.kind == "f" for name in names):
        raise results.ResultError(f"scores lack the classes {list(names)}; a regression has none")
    bootstrap = Bootstrap(resamples, seed, confidence)
    wanted = array[names[0]].values[:, None] == array["train_label"].values
    return pd.DataFrame([_detected(array, wanted, k, of, bootstrap, {"chance": wanted.mean(1)})])


def subclass_detection(
    scores: xr.DataArray,
    train: xr.DataArray,
    query: xr.DataArray,
    k: int = 10,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The same of a finer class that the model was not told of: it was trained with several of them under one label.

    ``train`` [train], ``query`` [query]: the finer class of each id. ``chance`` is that of random examples, and
    ``chance_in_class`` that of random examples of the query's label, which a method reaches by classes alone.
    Raises ResultError if an id has no finer class.
    """
    array, bootstrap = results.check(scores), Bootstrap(resamples, seed, confidence)
    finer = [_of(array, part, dim) for part, dim in ((query, "query"), (train, "train"))]
    wanted = finer[0][:, None] == finer[1]
    chances = {"chance": wanted.mean(1)}
    if {"query_label", "train_label"} <= set(array.coords):
        same = array["query_label"].values[:, None] == array["train_label"].values
        chances["chance_in_class"] = (wanted & same).sum(1) / np.maximum(same.sum(1), 1)
    return pd.DataFrame([_detected(array, wanted, k, "subclass", bootstrap, chances)])


def _detected(
    array: xr.DataArray,
    wanted: npt.NDArray[np.bool_],
    k: int,
    checked: str,
    bootstrap: Bootstrap,
    chances: dict[str, Array],
) -> dict[str, Any]:
    if not 1 <= k <= array.sizes["train"]:
        raise ValueError(f"k must lie between 1 and {array.sizes['train']}, not {k}")
    values = np.asarray(array.values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} scores are not finite; leave those out first")
    values = -values if array.attrs["sign"] == results.FAR else values
    # where scores tie at the k-th place, the expectation over random tie-breaks
    top = np.stack([statistics.share_in_top(row, k) for row in values])
    row = {"method": array.attrs["method"], "checked": checked, "n": len(values), "k": k}
    row |= _mean("share", (top * wanted).sum(1) / k, bootstrap)
    return row | {name: float(each.mean()) for name, each in chances.items()}


def _ranks_alike(scores: xr.DataArray, other: xr.DataArray) -> Array:
    """Spearman's correlation over the training examples [query]."""
    results.check(other)
    for dim in ("query", "train"):
        if set(other[dim].values.tolist()) != set(scores[dim].values.tolist()):
            raise results.ResultError(f"the randomised model's scores are of other {dim} ids; score the same examples")
    if other.attrs["method"] != scores.attrs["method"]:
        raise results.ResultError(f"scores by {scores.attrs['method']} cannot be checked by {other.attrs['method']}")
    if other.attrs["checkpoint"] == scores.attrs["checkpoint"]:
        raise results.ResultError("both scores are of one checkpoint; draw the parameters anew first")
    there = other.sel(query=scores["query"].values, train=scores["train"].values)
    pairs = zip(np.asarray(scores.values), np.asarray(there.values), strict=True)
    return np.array([statistics.spearman(one, two) for one, two in pairs])


def _of(array: xr.DataArray, part: xr.DataArray, dim: str) -> Any:
    absent = set(array[dim].values.tolist()) - set(part[dim].values.tolist())
    if part.dims != (dim,) or absent:
        raise results.ResultError(
            f"the finer classes are [{dim}] with every id of the scores; {len(absent)} are absent"
        )
    return part.sel({dim: array[dim].values}).values


def _mean(name: str, each: Array, bootstrap: Bootstrap) -> dict[str, float]:
    """The mean of numbers [query] with its interval over queries."""
    if len(each) == 0:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = bootstrap.interval(len(each), lambda counts: counts @ each / counts.sum(1))
    low, high = interval if len(each) > 1 else (np.nan, np.nan)
    return {name: float(each.mean()), f"{name}_low": low, f"{name}_high": high}

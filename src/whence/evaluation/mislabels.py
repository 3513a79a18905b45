"""Finding wrong labels: which ranking of the training examples puts those whose label was changed first.

The job is Koh and Liang's (ICML 2017, section 5.4): rank by self-influence, look at the top, correct what is wrong. The
training loss is the baseline that it must beat and often does not, so its row is always there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence import results
from whence.evaluation.bootstrap import Bootstrap
from whence.evaluation.detection import Ranking

LOSS = "training loss"
INSTALL = "pip install 'whence[baselines]'"


def mislabel_detection(
    suspicions: Mapping[str, xr.DataArray],
    flipped: xr.DataArray,
    k: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """One row a ranking: how early it names the examples whose label is wrong.

    ``suspicions``: by name, numbers [train] of which the largest are looked at first: self-influence, see also
    :func:`harm`, :func:`neighbour_disagreement`, :func:`label_quality`. The training loss is added from the coordinate
    ``train_loss`` if it is not among them. ``flipped``: bool [train], True where the label is wrong. ``k``: how many
    are looked at; by default as many as are flipped.

    Columns: ranking, n, flipped, chosen (how they were, if ``flipped`` says), average_precision (chance: flipped/n),
    roc_auc (chance: 0.5), recall_at_k and k (chance: k/n), each with the percentile bootstrap interval over examples.

    Aligned by id; raises ResultError if a ranking lacks ids of ``flipped`` or there is no loss, ValueError if none or
    all are flipped, or a number is not finite.
    """
    if flipped.dims != ("train",) or flipped.dtype != np.bool_:
        raise results.ResultError(f"flipped is bool [train], not {flipped.dtype} {flipped.dims}")
    bootstrap, marks = Bootstrap(resamples, seed, confidence), flipped.values
    n, wanted = len(marks), int(marks.sum())
    k = wanted if k is None else k
    if not 1 <= k <= n:
        raise ValueError(f"k must lie between 1 and the number of examples, {n}, not {k}")
    rows = []
    for name, values in _with_loss(suspicions).items():
        ranking = Ranking(_aligned(name, values, flipped), marks)
        row: dict[str, Any] = {"ranking": name, "n": n, "flipped": wanted}
        row["chosen"] = str(flipped.attrs.get("chosen", "as given"))
        for column, statistic in (
            ("average_precision", ranking.average_precision),
            ("roc_auc", ranking.roc_auc),
            ("recall_at_k", lambda counts, ranking=ranking: ranking.recall(k, counts)),
        ):
            low, high = bootstrap.interval(n, statistic)
            row |= {column: float(statistic(np.ones((1, n)))[0]), f"{column}_low": low, f"{column}_high": high}
        rows.append(row | {"k": k})
    return pd.DataFrame(rows)


def harm(scores: xr.DataArray) -> xr.DataArray:
    """How harmful each training example is to the queries on the whole [train]: minus the mean of its scores.

    Raises ResultError for scores that say nothing of help and harm.
    """
    array = results.check(scores)
    if array.attrs["sign"] != results.SIGN:
        raise results.ResultError(f"scores by {array.attrs['method']} say nothing of help or harm")
    return -array.mean("query", dtype=np.float64)


def neighbour_disagreement(similarity: xr.DataArray, k: int = 10) -> xr.DataArray:
    """The share of each example's ``k`` nearest other examples that carry another label [train].

    ``similarity``: scores [query, train] of the training examples among themselves, as
    ``Similarity(...).fit(task, train).attribute(train)`` gives them. Raises ResultError if the queries are not the
    training examples, there are no labels, or the method says which are far; ValueError for ``k`` outside 1 … n − 1.
    """
    array = results.check(similarity)
    ids = array["train"].values
    if set(array["query"].values.tolist()) != set(ids.tolist()) or "train_label" not in array.coords:
        raise results.ResultError("neighbours need scores of the training examples for themselves, with their labels")
    if array.attrs["sign"] == results.FAR:
        raise results.ResultError(f"{array.attrs['method']} says which are far: neighbours need larger = nearer")
    if not 1 <= k < len(ids):
        raise ValueError(f"k must lie between 1 and {len(ids) - 1}, not {k}")
    values = np.array(array.sel(query=ids).values, dtype=np.float64)
    np.fill_diagonal(values, -np.inf)
    nearest = np.argsort(-values, axis=1, kind="stable")[:, :k]
    label = array["train_label"].values
    share = (label[nearest] != label[:, None]).mean(1)
    coords = {name: array[name] for name in ("train", "train_label", "train_loss") if name in array.coords}
    return xr.DataArray(share, dims=("train",), coords=coords, name="neighbour_disagreement")


def label_quality(probabilities: xr.DataArray, method: str = "normalized_margin") -> xr.DataArray:
    """cleanlab's ranking [train], larger = more suspicious: minus ``get_label_quality_scores`` (Northcutt et al. 2021).

    ``probabilities`` [train, class] with the coordinate ``train_label``; cleanlab wants them out of sample, by
    cross-validation. Of the model's own probabilities ``"self_confidence"`` ranks exactly as the training loss.
    Raises ResultError for other dims, ImportError with the remedy where cleanlab is not installed.
    """
    if probabilities.dims != ("train", "class") or "train_label" not in probabilities.coords:
        raise results.ResultError(f"probabilities are [train, class] with train_label, not {probabilities.dims}")
    if not has_cleanlab():
        raise ImportError(f"cleanlab is not installed; install it with: {INSTALL}")
    from cleanlab.rank import get_label_quality_scores

    label = probabilities["train_label"].values.astype(np.int64)
    quality = get_label_quality_scores(label, np.asarray(probabilities.values, dtype=np.float64), method=method)
    coords = {
        name: probabilities[name] for name in ("train", "train_label", "train_loss") if name in probabilities.coords
    }
    return xr.DataArray(-quality, dims=("train",), coords=coords, name="label_quality")


def has_cleanlab() -> bool:
    """Whether cleanlab's ranking can be had."""
    return importlib.util.find_spec("cleanlab") is not None


def _with_loss(suspicions: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    found = dict(suspicions)
    if LOSS not in found:
        known = next((one for one in found.values() if "train_loss" in one.coords), None)
        if known is None:
            raise results.ResultError(f"no ranking carries train_loss; give the baseline under the name {LOSS!r}")
        found[LOSS] = known["train_loss"].reset_coords(drop=True)
    return found


def _aligned(name: str, values: xr.DataArray, flipped: xr.DataArray) -> Any:
    if values.dims != ("train",):
        raise results.ResultError(f"the ranking {name!r} has dims {values.dims}, not ('train',)")
    absent = set(flipped["train"].values.tolist()) - set(values["train"].values.tolist())
    if absent:
        raise results.ResultError(f"the ranking {name!r} lacks {len(absent)} ids that are judged: {sorted(absent)[:5]}")
    return np.asarray(values.sel(train=flipped["train"].values).values, dtype=np.float64)

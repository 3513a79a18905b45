"""Scores beside what refits say of them: the most influential examples by prediction, left out for real.

Verified scores [query, train] carry two more coordinates of that shape, ``actual``: the effect of the refit without the
example (NaN where none was made; a refit made for one query is measured for all), and ``verified``: whether the example
is among the k most influential of that query; and ``train_refit_converged``, ``train_refit_gradient_norm``.
``attrs["verification"]`` says how examples were chosen, and holds the attributes of the truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence import results

FIGURES = ("gradient_norm", "evaluations", "distance")


def most_influential(scores: xr.DataArray, k: int) -> npt.NDArray[np.bool_]:
    """Which training examples [query, train] are the ``k`` most influential of each query by prediction.

    By absolute value where scores say help and harm, else the largest. Ties go in the order of the training set.
    Raises ValueError for ``k`` < 1.
    """
    if k < 1:
        raise ValueError(f"verify must be at least 1, not {k}: it is how many examples a query are left out")
    order = np.argsort(-np.nan_to_num(_size(scores)), axis=1, kind="stable")
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, :k], True, axis=1)
    return chosen


def kept(scores: xr.DataArray, k: int) -> npt.NDArray[np.int64]:
    """The positions of each query's k largest and k smallest scores, and of all examples that were verified."""
    k = min(k, scores.sizes["train"])
    order = np.argsort(np.nan_to_num(scores.values), axis=1, kind="stable")  # NaN is no extreme
    found = [order[:, :k].ravel(), order[:, -k:].ravel()]
    if "verified" in scores.coords:
        found.append(np.flatnonzero(scores["verified"].values.any(0)))
    return np.unique(np.concatenate(found))


def carried(scores: xr.DataArray, truth: xr.Dataset, chosen: npt.NDArray[np.bool_]) -> xr.DataArray:
    """The scores with the effects of ``truth``, whose removals are single examples, made once; ``chosen`` for whom."""
    ids = scores["train"].values
    position = {identity: column for column, identity in enumerate(ids.tolist())}
    columns = [position[identity] for identity in truth["removed"].values.tolist()]
    actual = np.full(scores.shape, np.nan)
    actual[:, columns] = truth["effect"].mean("seed").sel(query=scores["query"].values).transpose("query", "removed")
    converged = np.zeros(len(ids), dtype=bool)
    converged[columns] = truth["converged"].all("seed")
    coords: dict[str, Any] = {"actual": (("query", "train"), actual), "verified": (("query", "train"), chosen)}
    coords["train_refit_converged"] = ("train", converged)
    for name in FIGURES:
        values = np.full(len(ids), np.nan)
        values[columns] = truth[name].mean("seed")
        coords[f"train_refit_{name}"] = ("train", values)
    k = int(chosen.sum(1).max())
    about = {
        "k": k,
        "chosen": f"the {k} {'largest |score|' if _signed(scores) else 'largest scores'} of each query",
        "refits": len(columns),
        "unconverged": int((~truth["converged"].all("seed")).sum()),
        "comparison": comparison(scores, truth),
        "truth": dict(truth.attrs),
    }
    return scores.assign_coords(coords).assign_attrs(verification=about)


def comparison(scores: xr.DataArray, truth: xr.Dataset) -> str:
    """How scores may be laid beside the effects: as one quantity, or by rank only."""
    if results.same_quantity(scores.attrs, truth.attrs) and scores.attrs["sign"] == truth.attrs["sign"]:
        return f"both are the {truth.attrs['quantity']} in {truth.attrs['unit']}"
    mine, theirs = (one.attrs["quantity"] for one in (scores, truth))
    return f"by rank only: scores state {mine!r}, refits {theirs!r}"


def table(scores: xr.DataArray) -> pd.DataFrame:
    """One row a (query, verified example), the most influential by prediction first.

    Columns: query, rank (by prediction), train, score, actual, actual_rank (by absolute value among these),
    difference (actual minus score; absent where the two are not the same quantity), converged, and what is known of
    the training example. Raises ResultError if the scores were not verified.
    """
    about = _about(scores)
    parts = []
    for row, identity in enumerate(scores["query"].values.tolist()):
        one = scores.isel(query=row)
        mine = np.flatnonzero(one["verified"].values)
        mine = mine[np.argsort(-_size(one)[mine], kind="stable")]
        score, actual = one.values[mine], one["actual"].values[mine]
        frame: dict[str, Any] = {"query": identity, "rank": np.arange(1, len(mine) + 1)}
        frame |= {"train": one["train"].values[mine], "score": score, "actual": actual}
        frame["actual_rank"] = pd.Series(-np.abs(actual)).rank(method="min").astype("Int64").to_numpy()
        if not about["comparison"].startswith("by rank"):
            frame["difference"] = actual - score
        frame["converged"] = one["train_refit_converged"].values[mine]
        for extra in ("train_label", "train_prediction", "train_loss"):
            if extra in one.coords:
                frame[extra] = one[extra].values[mine]
        parts.append(pd.DataFrame(frame))
    return pd.concat(parts, ignore_index=True)


def truth_of(scores: xr.DataArray) -> xr.Dataset:
    """The refits of verified scores as a truth that :func:`whence.agreement` takes.

    Its sample "most influential" holds for each query the examples that were chosen for it; the effects of the others,
    measured by the way, are there too. Raises ResultError if the scores were not verified.
    """
    about = _about(scores)
    columns = np.flatnonzero(scores["verified"].values.any(0))
    part = scores.isel(train=columns)
    member = np.zeros((len(columns), scores.sizes["train"]), dtype=bool)
    member[np.arange(len(columns)), columns] = True
    variables: dict[str, Any] = {
        name: (("removed", "seed"), part[f"train_refit_{name}"].values[:, None]) for name in (*FIGURES, "converged")
    }
    variables["chosen"] = (("sample", "query", "removed"), part["verified"].values[None])
    labels = _labels(scores, "query"), _labels(scores, "train")
    coords = {"sample": ["most influential"]}
    effect, removed = part["actual"].values.T[:, :, None], part["train"].values
    return results.truth(effect, member, removed, labels, about["truth"], variables, coords=coords)


def _about(scores: xr.DataArray) -> dict[str, Any]:
    results.check(scores)
    if "verification" not in scores.attrs or "actual" not in scores.coords:
        raise results.ResultError("these scores were not verified; ask for explainer.attribute(queries, verify=10)")
    about: dict[str, Any] = scores.attrs["verification"]
    return about


def _signed(scores: xr.DataArray) -> bool:
    return bool(scores.attrs["sign"] == results.SIGN)


def _size(scores: xr.DataArray) -> npt.NDArray[np.float64]:
    values = np.asarray(scores.values, dtype=np.float64)
    return np.abs(values) if _signed(scores) else values


def _labels(scores: xr.DataArray, dim: str) -> results.Labels:
    names = ("label", "prediction", "loss")
    known = {name: scores[f"{dim}_{name}"].values for name in names if f"{dim}_{name}" in scores.coords}
    return results.Labels(scores[dim].values, **known)

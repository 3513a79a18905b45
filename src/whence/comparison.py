"""Scores and truth brought together by id: one predicted and one actual effect a removal and query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from whence import results

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """Predicted [query, removed] and actual [query, removed, seed] effects of the truth's queries and removals."""

    predicted: Array
    actual: Array
    queries: npt.NDArray[Any]
    members: npt.NDArray[np.int64]
    """Number of examples that each removal takes away [removed]."""
    converged: npt.NDArray[np.bool_] | None
    """Whether every refit of a removal converged [removed]; None if the truth does not say."""
    samples: dict[str, npt.NDArray[np.bool_]]
    """Which removals [query, removed] each sample holds."""


def aligned(scores: xr.DataArray, truth: xr.Dataset) -> Aligned:
    """Lay scores on truth by id. The predicted effect of a removal is the sum of its members' scores.

    Scores may cover more queries and training examples than the truth, never fewer: ResultError then names the ids.
    ResultError too if either breaks the schema.
    """
    results.check(scores)
    results.check_truth(truth)
    for dim in ("train", "query"):
        _require_ids(scores, truth, dim)
    chosen = scores.sel(query=truth["query"].values, train=truth["train"].values)
    member = truth["member"].values
    empty = [dim for dim in ("query", "seed") if truth.sizes[dim] == 0]
    if empty:
        raise results.ResultError(f"the truth holds no {empty[0]}; measure at least one refit for at least one query")
    # Sparse, because leave-one-out marks one example in each row of what may be a very large matrix.
    predicted = (csr_array(member) @ chosen.values.astype(np.float64).T).T
    return Aligned(
        predicted=predicted,
        actual=truth["effect"].transpose("query", "removed", "seed").values.astype(np.float64),
        queries=truth["query"].values,
        members=member.sum(axis=1),
        converged=_converged(truth),
        samples=_samples(truth),
    )


def _require_ids(scores: xr.DataArray, truth: xr.Dataset, dim: str) -> None:
    known = set(scores[dim].values.tolist())
    absent = [identity for identity in truth[dim].values.tolist() if identity not in known]
    if absent:
        more = "..." if len(absent) > 5 else ""
        raise results.ResultError(
            f"the scores lack {len(absent)} {dim} ids of the truth: {absent[:5]}{more}. "
            f"Compute scores for them, or select the truth's common {dim} ids first."
        )


def _converged(truth: xr.Dataset) -> npt.NDArray[np.bool_] | None:
    if "converged" not in truth:
        return None
    converged = truth["converged"]
    flags: npt.NDArray[np.bool_] = converged.all([dim for dim in converged.dims if dim != "removed"]).values
    return flags


def _samples(truth: xr.Dataset) -> dict[str, npt.NDArray[np.bool_]]:
    if "chosen" not in truth:
        return {"all": np.ones((truth.sizes["query"], truth.sizes["removed"]), dtype=bool)}
    chosen = truth["chosen"].values
    return {str(name): chosen[row] for row, name in enumerate(truth["sample"].values)}

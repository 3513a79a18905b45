"""``scores.whence``: what a person does with scores, on the array itself."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence import archive, results, verification

Side = Literal["both", "helpful", "harmful"]

load = archive.load
"""``whence.load``: named here, so that scores which are read have these verbs too."""


@xr.register_dataarray_accessor("whence")  # type: ignore[no-untyped-call]
class ScoresAccessor:
    """Verbs on scores [query, train]."""

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    def check(self) -> xr.DataArray:
        """The scores themselves if they follow the schema; raises ResultError otherwise."""
        return results.check(self._array)

    def top(self, k: int = 10, query: Any = None, side: Side = "both") -> pd.DataFrame:
        """The ``k`` most helpful and the ``k`` most harmful training examples of each query, strongest first.

        Only examples with a score on that side are listed: a positive score is never called harmful. For scores that
        say nothing of help or harm (similarities, distances: see ``attrs["sign"]``) the sides are the ``k`` largest
        and the ``k`` smallest, whatever their sign, under the names "largest" and "smallest".
        Raises KeyError if ``query`` is not among the ids, ValueError for another ``side`` or ``k`` < 1.
        """
        array = results.check(self._array)
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        if side not in ("both", "helpful", "harmful"):
            raise ValueError(f"side must be 'both', 'helpful' or 'harmful', not {side!r}")
        wanted = array["query"].values.tolist() if query is None else np.atleast_1d(query).tolist()
        known = set(array["query"].values.tolist())
        absent = [identity for identity in wanted if identity not in known]
        if absent:
            raise KeyError(f"no query has the id {absent[:5]}")
        return pd.concat([self._top_of(identity, k, side) for identity in wanted], ignore_index=True)

    def _top_of(self, identity: Any, k: int, side: Side) -> pd.DataFrame:
        row = self._array.sel(query=identity)
        values = np.asarray(row.values)
        frames = []
        signed = row.attrs["sign"] == results.SIGN
        for name in ("helpful", "harmful") if side == "both" else (side,):
            positions = _strongest(values if name == "helpful" else -values, k, signed)
            part = row.isel(train=positions)
            said = name if signed else {"helpful": "largest", "harmful": "smallest"}[name]
            frame = {"query": identity, "side": said, "rank": np.arange(1, len(positions) + 1)}
            frame |= {"train": part["train"].values, "score": np.asarray(part.values)}
            for extra in ("train_label", "train_prediction", "train_loss"):
                if extra in part.coords:
                    frame[extra] = part[extra].values
            frames.append(pd.DataFrame(frame))
        return pd.concat(frames, ignore_index=True)

    def verified(self) -> pd.DataFrame:
        """The verified examples of each query with both numbers, see :func:`whence.verification.table`."""
        return verification.table(self._array)

    def refits(self) -> xr.Dataset:
        """The refits of verified scores as a truth, for :func:`whence.agreement`."""
        return verification.truth_of(self._array)

    def show(self, query: Any = None, k: int = 12, train: Any = None, queries: Any = None) -> Any:
        """The interactive page of some queries, for a notebook to show or to be saved; see :func:`whence.explore`.

        ``query``: their ids (by default all, of many those with the greatest loss); ``k``: examples listed on a side;
        ``train``, ``queries``: the data, if the page shall show what the examples look like.
        Raises KeyError for an id that is not there, ValueError for ``k`` outside 1 to 200.
        """
        # The page stands on a higher floor and is loaded only when someone wants to see it.
        notebook = importlib.import_module("whence.explorer.notebook")
        return notebook.show(self._array, query, k, train, queries)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a (query, train) pair, with all coordinates as columns."""
        return results.check(self._array).to_dataframe().reset_index()

    def save(self, path: str | Path) -> Path:
        """Write the scores to a folder, whole or not at all; see :func:`whence.load`."""
        return archive.save(self._array, path)


def _strongest(values: npt.NDArray[Any], k: int, positive_only: bool) -> npt.NDArray[np.int64]:
    """Positions of the ``k`` largest (positive) values, largest first, ties in their order; NaN is never among them."""
    positive = np.flatnonzero(values > 0 if positive_only else np.isfinite(values))
    order = np.argsort(-values[positive], kind="stable")
    return positive[order[:k]]

"""Stored scores of one method, laid on the page's examples by id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import files
from whence.explorer import stored
from whence.explorer.alignment import Places, places, positions
from whence.explorer.facts import Facts, facts
from whence.explorer.refused import Refused
from whence.explorer.stored import Floats


@dataclass(frozen=True)
class Scores:
    """Scores of one method. ``rows``: the stored row of each query, -1 if none; ``columns``: where each stored column
    stands among the ``train`` training examples, -1 if nowhere, None if they are as stored."""

    name: str
    facts: Facts
    path: Path
    rows: Places
    columns: Places | None
    train: int
    solves: dict[str, npt.NDArray[Any]]
    """``converged`` and ``residual`` of each stored row, where the method says so."""

    def of(self, query: int) -> Floats:
        """The scores of one query [train], NaN where there is none. Raises FileError."""
        if self.rows[query] < 0:
            return np.full(self.train, np.nan)
        row = stored.row(self.path, int(self.rows[query]))
        if self.columns is None:
            return row
        known = self.columns >= 0
        out = np.full(self.train, np.nan)
        out[self.columns[known]] = row[known]
        return out

    def sums(self, chosen: list[int]) -> Floats:
        """The sum of the scores of some training examples, for each query; NaN for a query without scores.

        Raises Refused if the method holds no score for one of the examples, FileError.
        """
        at = np.asarray(chosen, dtype=np.int64)
        if self.columns is not None:
            column_of = np.full(self.train, -1, dtype=np.int64)
            known = np.flatnonzero(self.columns >= 0)
            column_of[self.columns[known]] = known
            at = column_of[at]
            if (at < 0).any():
                raise Refused(
                    f"{self.name} holds no score for {int((at < 0).sum())} of these examples; "
                    "leave them out, or choose another method"
                )
        found = stored.sums(self.path, at)
        if len(found) == 0:
            return np.full(len(self.rows), np.nan)
        return np.where(self.rows >= 0, found[np.maximum(self.rows, 0)], np.nan)

    def solve(self, query: int) -> tuple[bool, float | None]:
        """Whether the linear solve of a query converged, and its relative residual."""
        report, row = self.facts.solver, int(self.rows[query])
        converged, residual = report.get("converged") is True, report.get("relative_residual")
        if row >= 0 and "converged" in self.solves:
            converged = bool(self.solves["converged"][row])
        if row >= 0 and "residual" in self.solves:
            residual = float(self.solves["residual"][row])
        return converged, residual if isinstance(residual, int | float) and np.isfinite(residual) else None


def scores(name: str, path: Path, data: xr.DataArray, ids: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> Scores:
    """The scores that lie in ``path``; ``ids``: of the page's training examples and queries.

    Raises FileError if they are no numbers.
    """
    if data.dtype.kind not in "fiu":
        raise files.FileError(f"its scores are of type {data.dtype}, not numbers")
    train, queries = ids
    solves = {
        short: np.array(data[f"query_{short}"].values)
        for short in ("converged", "residual")
        if f"query_{short}" in data.coords and data[f"query_{short}"].dims == ("query",)
    }
    columns, rows = places(data["train"].values, train), positions(queries, data["query"].values)
    return Scores(name, facts(data.attrs), path / "score.npy", rows, columns, len(train), solves)

"""Refits that a run keeps, laid on the page's examples by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.explorer.alignment import Places, positions
from whence.explorer.facts import Facts, facts
from whence.explorer.stored import Floats


@dataclass(frozen=True)
class Truth:
    """Refits. ``removals``: the training example that each takes away, -1 for one the page does not know, or None if a
    refit takes several away; ``columns``: the stored place of each query, -1 if none."""

    name: str
    facts: Facts
    removals: Places | None
    columns: Places
    effect: npt.NDArray[Any]
    """[removed, query, seed]"""
    converged: npt.NDArray[np.bool_] | None
    chosen: npt.NDArray[np.bool_] | None
    """[sample, query, removed]"""
    samples: list[str]

    def of(self, query: int) -> tuple[Places, Floats, npt.NDArray[np.int64]]:
        """Positions removed alone, the effect of each on a query (mean over seeds), and the index of each refit."""
        empty = np.zeros(0, dtype=np.int64)
        if self.removals is None or self.columns[query] < 0 or self.effect.shape[2] == 0:
            return empty, np.zeros(0), empty
        effect = np.asarray(self.effect[:, self.columns[query]], dtype=np.float64).mean(axis=1)
        at = np.flatnonzero((self.removals >= 0) & np.isfinite(effect))
        return self.removals[at], effect[at], at

    def sample_of(self, query: int, refits: npt.NDArray[np.int64]) -> list[str | None] | None:
        """The sample of each refit for a query, None for one in no sample; None if the truth has no samples."""
        if self.chosen is None:
            return None
        held = self.chosen[:, self.columns[query]][:, refits]
        return [self.samples[int(row.argmax())] if row.any() else None for row in held.T]


def truth(name: str, data: xr.Dataset, alone: Places | None, ids: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> Truth:
    """A truth laid on the page's examples. ``alone``: the place in ``data`` of the one example that each refit leaves
    out, None if some leave out several; ``ids``: of the page's training examples and queries."""
    converged, chosen, samples = None, None, []
    if "converged" in data:
        settled = data["converged"]
        converged = np.array(settled.all([dim for dim in settled.dims if dim != "removed"]).values)
    if "chosen" in data:
        chosen, samples = np.array(data["chosen"].values), [str(word) for word in data["sample"].values.tolist()]
    return Truth(
        name,
        facts(data.attrs),
        None if alone is None else positions(data["train"].values, ids[0])[alone],
        positions(ids[1], data["query"].values),
        np.array(data["effect"].values),
        converged,
        chosen,
        samples,
    )

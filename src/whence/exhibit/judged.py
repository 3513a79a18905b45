"""How well each result of a run predicts each truth of it: looked up by whoever shows them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from whence import results
from whence.evaluation import agreement
from whence.execution.store import RunFolder
from whence.files import FileError

FEWEST = 3
"""Removals that a correlation is worth being worked out for."""
KEPT = ("pearson", "pearson_low", "pearson_high", "spearman", "spearman_low", "spearman_high", "ceiling")
Row = dict[str, Any]


def rows_of(run: RunFolder, before: Sequence[Mapping[str, Any]] = ()) -> list[Row]:
    """One row a (scores, truth, sample, query); where the quantities differ, by rank only (no Pearson).

    Rows of ``before`` whose scores and truth are the same still are taken as they are.
    """
    named = {path.name: _proof(path) for path in sorted((run.folder / "results").glob("*")) if path.is_dir()}
    loaded = {name: one for name in named if (one := _loaded(run, name)) is not None}
    truths = {name: data for name, data in loaded.items() if isinstance(data, xr.Dataset)}
    found: list[Row] = []
    for name, scores in loaded.items():
        for other, truth in truths.items():
            if not isinstance(scores, xr.DataArray):
                continue
            proof = hashlib.sha256(f"{named[name]} {named[other]}".encode()).hexdigest()[:16]
            known = [dict(row) for row in before if (row["scores"], row["truth"], row["proof"]) == (name, other, proof)]
            found += known or [{"scores": name, "truth": other, **row, "proof": proof} for row in _rows(scores, truth)]
    return found


def _rows(scores: xr.DataArray, truth: xr.Dataset) -> list[Row]:
    known = set(scores["query"].values.tolist())
    common = [query for query in truth["query"].values.tolist() if query in known]
    every = set(truth["train"].values.tolist()) <= set(scores["train"].values.tolist())
    if not common or not every or truth.sizes["removed"] < FEWEST or truth.sizes["seed"] == 0:
        return []
    same = results.same_quantity(scores.attrs, truth.attrs) and scores.attrs["sign"] == truth.attrs["sign"]
    table = agreement(scores, truth.sel(query=common), rank_only=not same)
    found = []
    for row in table.to_dict("records"):
        numbers = {name: _finite(row[name]) for name in KEPT}
        unconverged = row["unconverged"]
        more = {"unconverged": int(unconverged) if isinstance(unconverged, int | np.integer) else None}
        found.append({"sample": row["sample"], "query": row["query"], "n": int(row["n"]), **numbers, **more})
    return found


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _loaded(run: RunFolder, name: str) -> Any:
    """The result, or None where it is damaged: who shows it says so."""
    try:
        return run.load(name)
    except (FileError, results.ResultError, OSError):
        return None


def _proof(path: Path) -> str:
    """A digest of a result: its header holds those of its arrays."""
    header = path / "result.json"
    return hashlib.sha256(header.read_bytes()).hexdigest() if header.is_file() else ""

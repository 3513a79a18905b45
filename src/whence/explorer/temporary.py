"""A run folder for scores that lie in memory, with what their examples look like where the data are at hand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from whence import files
from whence.execution.store import RunFolder
from whence.exhibit import kept
from whence.exhibit.about import FORMAT, SCHEMA
from whence.explorer.sides import COORDINATES, DIMS

if TYPE_CHECKING:
    from whence.examples import Examples

METHOD = "scores"
"""The name of the result."""


@contextmanager
def run_of(scores: xr.DataArray, train: Any, queries: Any) -> Iterator[Path]:
    """A run folder with the scores for as long as it is needed; ``train``, ``queries``: data to be shown, or None.

    Raises KeyError if the data lack an id of the scores, TypeError for data that ``whence.as_examples`` does not take.
    """
    place = Path(tempfile.mkdtemp(prefix="whence-"))
    try:
        with RunFolder.open(place / "run", {"method": str(scores.attrs["method"])}, kind="scores") as run:
            run.save(METHOD, scores)
            _exhibit(run, scores, {"train": train, "queries": queries})
        yield place / "run"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _exhibit(run: RunFolder, scores: xr.DataArray, data: dict[str, Any]) -> None:
    """What the scores and the data say of the examples; no model is at hand to ask for more."""
    shelf, shown = run.shelf(kept.NAME), _selected(scores, data)
    for name, dim in DIMS.items():
        known = [column for column in COORDINATES if f"{dim}_{column}" in scores.coords]
        columns = {column: scores[f"{dim}_{column}"].values for column in known}
        shelf.put(name, {"id": scores[dim].values, **columns})
    about: dict[str, Any] = {"format": FORMAT, "schema": SCHEMA, "title": str(scores.attrs["method"]), "kind": "none"}
    about |= {"task": _task(scores), "classes": None, "unit": _unit(scores), "picture": None, "maps": [], "columns": []}
    about |= {"agreement": [], "refit": None, "notes": []}
    if shown:
        # Loaded when there is data only: it brings torch.
        from whence.exhibit import rows

        manner = rows.manner_of(shown.get("train") or shown["queries"])
        about["kind"] = manner.kind
        about["classes"] = next((list(examples.classes) for examples in shown.values() if examples.classes), None)
        for side, examples in shown.items():
            shelf.put(f"{side} {kept.ROWS[manner.kind]}", rows.rows_of(examples, manner))
    files.write_json(run.folder / kept.NAME / "about.json", about)


def _selected(scores: xr.DataArray, data: dict[str, Any]) -> dict[str, Examples]:
    """The examples that the scores are about, in their order, of each side that has data."""
    if all(given is None for given in data.values()):
        return {}
    from whence.examples import as_examples

    given = {side: as_examples(found) for side, found in data.items() if found is not None}
    return {side: examples.select(scores[DIMS[side]].values) for side, examples in given.items()}  # type: ignore[index]


def _unit(scores: xr.DataArray) -> str:
    """The unit of a loss, as far as the scores say it."""
    return str(scores.attrs["unit"]) if scores.attrs["quantity"] == "change in loss" else ""


def _task(scores: xr.DataArray) -> str:
    task = scores.attrs["task"]
    name = task.get("name") if isinstance(task, dict) else None
    return name if name in ("classification", "regression") else "other"

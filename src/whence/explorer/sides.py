"""The training examples and the queries as the page numbers them: ids, known columns, and how a row is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import archive
from whence.execution.store import RunFolder
from whence.exhibit.kept import Exhibit
from whence.explorer import packed
from whence.explorer.alignment import Places, positions
from whence.explorer.refused import BROKEN

Name: TypeAlias = Literal["train", "queries"]
DIMS: dict[Name, str] = {"train": "train", "queries": "query"}
"""The sides, and what results call them."""
COORDINATES = ("label", "prediction", "loss")
"""Columns that scores carry too, as coordinates ``train_label``, ``query_label`` and so on."""


@dataclass(frozen=True)
class Side:
    """Examples in the order of the page. ``places``: where each stands in the exhibit, None if they are as there."""

    name: Name
    ids: npt.NDArray[Any]
    columns: dict[str, npt.NDArray[Any]]
    exhibit: Exhibit
    places: Places | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Sequence[int]) -> Side:
        """Some of the examples, numbered anew in the given order."""
        at = np.asarray(chosen, dtype=np.int64)
        columns = {name: np.asarray(values[at]) for name, values in self.columns.items()}
        places = at if self.places is None else self.places[at]
        return Side(self.name, self.ids[at], columns, self.exhibit, places)

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What the exhibit keeps along this side, in the order of the page."""
        return values if self.places is None else values[self.places]

    def place(self, position: int) -> int:
        """Where an example stands in the exhibit."""
        return position if self.places is None else int(self.places[position])

    def value(self, name: str, position: int) -> Any:
        """One value of a column as JSON holds it; None where it is missing or there is no such column."""
        if name not in self.columns:
            return None
        found = packed.number(self.columns[name][position])
        return None if name in ("label", "prediction") and found == -1 else found

    def order(self, column: str) -> Places:
        """Positions from the largest value of a column on; examples without a value are left out."""
        values = np.asarray(self.columns[column], dtype=np.float64)
        return strongest(values, len(values))

    def record(self, position: int, columns: Sequence[str]) -> dict[str, Any]:
        """Position, id and some columns of one example."""
        first = {"position": position, "id": packed.one_id(self.ids[position])}
        return first | {name: self.value(name, position) for name in columns}


def strongest(values: npt.NDArray[np.float64], k: int) -> Places:
    """Positions of the ``k`` largest finite values, largest first, ties in their order."""
    at = np.flatnonzero(np.isfinite(values))
    return at[np.argsort(-values[at], kind="stable")[:k]]


def sides(run: RunFolder, exhibit: Exhibit) -> tuple[Side, Side]:
    """Both sides: by the exhibit, and by the run's scores where the exhibit has no ids or lacks a column."""
    known = {name: dict(exhibit.columns(name)) for name in DIMS}
    if not all({"id", *COORDINATES} <= columns.keys() for columns in known.values()):
        for name, told in _told(run).items():
            _complete(known[name], told)
    return _side("train", known["train"], exhibit), _side("queries", known["queries"], exhibit)


def _side(name: Name, columns: dict[str, npt.NDArray[Any]], exhibit: Exhibit) -> Side:
    ids = columns.pop("id", np.zeros(0, dtype=np.int64))
    return Side(name, ids, columns, exhibit)


@dataclass
class _Told:
    """What scores say of a side: the ids of the result with most of them, and the first of each column with its ids."""

    ids: npt.NDArray[Any] | None = None
    columns: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = field(default_factory=dict)

    def hear(self, coords: Any, dim: str) -> None:
        own = np.array(coords[dim].values)
        if self.ids is None or len(own) > len(self.ids):
            self.ids = own
        for column in COORDINATES:
            if column not in self.columns and f"{dim}_{column}" in coords:
                values = np.array(coords[f"{dim}_{column}"].values)
                if values.dtype.kind in "iuf" and values.shape == own.shape:
                    self.columns[column] = (own, values)


def _told(run: RunFolder) -> dict[Name, _Told]:
    """Read from every result that holds scores; those that cannot be read are named elsewhere."""
    told: dict[Name, _Told] = {name: _Told() for name in DIMS}
    for path in sorted((run.folder / "results").glob("*/result.json")):
        try:
            found = archive.load(path.parent, verify=False)
            if isinstance(found, xr.DataArray):
                for name, dim in DIMS.items():
                    told[name].hear(found.coords, dim)
        except BROKEN:
            continue
    return told


def _complete(columns: dict[str, npt.NDArray[Any]], told: _Told) -> None:
    if "id" not in columns:
        if told.ids is None:
            return
        # Columns without ids belong to nobody.
        columns.clear()
        columns["id"] = told.ids
    for column, (own, values) in told.columns.items():
        if column not in columns:
            columns[column] = _by_id(columns["id"], own, values)


def _by_id(ids: npt.NDArray[Any], own: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values in the order of ``ids``, -1 or NaN where an id has none."""
    at = positions(ids, own)
    missing = np.nan if values.dtype.kind == "f" else -1
    if len(own) == 0:
        return np.full(len(ids), missing, dtype=values.dtype)
    return np.where(at >= 0, values[np.maximum(at, 0)], missing)

"""Labelled arrays at the door of a figure: dimensions, ids and labels; every failure is a ResultError."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.results import ResultError


def check(array: xr.DataArray, dims: tuple[str, ...]) -> xr.DataArray:
    """The array, if it has these dimensions, and unique ids along the first one."""
    if not isinstance(array, xr.DataArray) or array.dims != dims:
        found = array.dims if isinstance(array, xr.DataArray) else type(array).__name__
        raise ResultError(f"this figure needs a DataArray with the dimensions {dims}, not {found}")
    if dims[0] not in array.coords:
        raise ResultError(f"the dimension {dims[0]!r} has no ids; give array.assign_coords({dims[0]}=ids)")
    if not array.indexes[dims[0]].is_unique:
        raise ResultError(f"the {dims[0]} ids must be unique; some are repeated")
    return array


def on_ids_of(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """``second`` [train] in the order of the ids of ``first`` [train]; raises ResultError unless they are the same."""
    mine, other = first.indexes["train"], second.indexes["train"]
    lacking = [*mine.difference(other, sort=False), *other.difference(mine, sort=False)]
    if lacking:
        raise ResultError(
            f"{len(lacking)} train ids stand in only one of two arrays, {lacking[:5]} for example; "
            "choose the same with array.sel(train=ids)"
        )
    return second.isel(train=other.get_indexer(mine))


def classes(*arrays: xr.DataArray) -> npt.NDArray[Any]:
    """``train_label`` [train] of the first of these arrays that carries it."""
    for array in arrays:
        if "train_label" in array.coords:
            found: npt.NDArray[Any] = array["train_label"].values
            return found
    raise ResultError("no coordinate 'train_label'; give array.assign_coords(train_label=('train', labels))")


def panels(given: Any, most: int) -> list[Any]:
    """The panels as a list; raises ValueError unless there are one to ``most``."""
    listed = list(given)
    if not 1 <= len(listed) <= most:
        raise ValueError(f"this figure has 1 to {most} panels, not {len(listed)}; draw several figures")
    return listed


def floats(array: Any) -> npt.NDArray[np.float64]:
    """Its values as float64."""
    return np.asarray(getattr(array, "values", array), dtype=np.float64)

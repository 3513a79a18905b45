"""Results as folders: ``result.json`` and a ``.npy`` file a variable, checked by SHA-256, memory-mapped on reading."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import files, results

FORMAT = "whence-result"
_NAME = re.compile(r"[^./\\:\0][^/\\:\0]*")


def save(data: xr.DataArray | xr.Dataset, path: str | Path) -> Path:
    """Write scores or truth to the folder ``path``, which is replaced whole or not at all.

    Where ``path`` is a symbolic link, what it points to is replaced.
    Raises ResultError if the data breaks the schema, FileExistsError if something that is no result lies there,
    OSError if the disk is full (the old folder then stays).
    """
    if not isinstance(data, xr.DataArray | xr.Dataset):
        raise results.ResultError(f"a {type(data).__name__} is no result; save a DataArray of scores or a truth")
    place = Path(os.path.realpath(path))
    dataset = _checked(data)
    _check_place(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = files.beside(place)
    try:
        partial.mkdir()
        names = [*dataset.data_vars, *dataset.coords]
        variables = {str(name): _write_variable(partial, name, dataset[name]) for name in names}
        kind = "scores" if isinstance(data, xr.DataArray) else "truth"
        header = {"format": FORMAT, "schema": results.SCHEMA, "kind": kind, "attrs": data.attrs, "variables": variables}
        _write_header(partial / "result.json", header)
        _swap(partial, place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Path(path)


def load(path: str | Path, verify: bool = True) -> Any:
    """Read what :func:`save` wrote: a DataArray of scores or a Dataset of truth, memory-mapped.

    Raises FileError if a file is missing, truncated or altered, ResultError for another schema version.
    """
    path = Path(path)
    header = _read_header(path)
    variables = header["variables"]
    loaded = {
        name: (tuple(about["dims"]), files.read_array(path / f"{name}.npy", about["sha256"] if verify else None))
        for name, about in variables.items()
    }
    coords = {name: value for name, value in loaded.items() if variables[name]["coordinate"]}
    data = {name: value for name, value in loaded.items() if name not in coords}
    try:
        dataset = xr.Dataset(data, coords=coords, attrs=header["attrs"])
    except ValueError as error:
        raise files.FileError(f"{path}: the arrays do not fit together ({error}); copy or compute it again") from error
    if header["kind"] == "truth":
        return results.check_truth(dataset)
    return results.check(dataset["score"].assign_attrs(header["attrs"]))


def _checked(data: xr.DataArray | xr.Dataset) -> xr.Dataset:
    if isinstance(data, xr.DataArray):
        return results.check(data).to_dataset(name="score")
    return results.check_truth(data)


def _write_variable(folder: Path, name: Any, array: xr.DataArray) -> dict[str, Any]:
    if not _plain_name(name):
        raise results.ResultError(f"{name!r} cannot name a variable on disk; rename it to letters, digits and _")
    values = _plain_values(name, np.asarray(array.values))
    sha256 = files.write_array(folder / f"{name}.npy", values)
    return {"file": f"{name}.npy", "dims": list(array.dims), "sha256": sha256, "coordinate": name in array.coords}


def _plain_name(name: Any) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _plain_values(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not values.dtype.hasobject:
        # Row by row, also where scores are a transposed view: one query is then read alone.
        return np.asarray(values, order="C")
    if not all(isinstance(value, str) for value in values.ravel().tolist()):
        raise results.ResultError(f"{name} holds Python objects; convert it to numbers or to strings first")
    return values.astype(str)


def _write_header(path: Path, header: Mapping[str, Any]) -> None:
    try:
        files.write_json(path, header)
    except (TypeError, ValueError) as error:
        raise results.ResultError(
            f"the attributes cannot be written as JSON ({error}); use finite numbers, strings, lists and dicts"
        ) from error


def _read_header(path: Path) -> Mapping[str, Any]:
    header = files.read_json(path / "result.json")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise files.FileError(f"{path} holds no result of this library; give a folder that whence.save wrote")
    if header.get("schema") != results.SCHEMA:
        raise results.ResultError(
            f"{path} has schema {header.get('schema')}; this version reads {results.SCHEMA}: use the version of whence "
            "that wrote it"
        )
    parts = header.get("variables"), header.get("attrs")
    sound = all(isinstance(part, dict) for part in parts) and header.get("kind") in ("scores", "truth")
    sound = sound and all(_sound(name, about) for name, about in header["variables"].items())
    if not sound or (header["kind"] == "scores" and "score" not in header["variables"]):
        raise files.FileError(f"{path / 'result.json'} is damaged or was altered; copy or compute the result again")
    return header


def _sound(name: str, about: Any) -> bool:
    """Whether an entry is complete and names its own file: a header from elsewhere must not reach out of its folder."""
    return (
        isinstance(about, dict)
        and _plain_name(name)
        and about.get("file") == f"{name}.npy"
        and isinstance(about.get("dims"), list)
        and all(isinstance(dim, str) for dim in about["dims"])
        and isinstance(about.get("sha256"), str)
        and isinstance(about.get("coordinate"), bool)
    )


def _check_place(place: Path) -> None:
    """Raises FileExistsError unless the place is free, an empty folder or a result."""
    if not os.path.lexists(place):
        return
    if not place.is_dir() or (any(place.iterdir()) and not (place / "result.json").exists()):
        raise FileExistsError(f"{place} exists and is not a result; choose another place")


def _swap(partial: Path, place: Path) -> None:
    """Put ``partial`` where ``place`` is; the old folder is removed only after the new one stands."""
    _check_place(place)
    if not place.exists():
        partial.rename(place)
        return
    old = files.beside(place)
    place.rename(old)
    try:
        partial.rename(place)
    except BaseException as error:
        try:
            old.rename(place)
        except OSError as second:
            raise OSError(f"{error}; the former result lies in {old} ({second}): move it back to {place}") from error
        raise
    shutil.rmtree(old, ignore_errors=True)

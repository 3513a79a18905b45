"""Results as folders: ``result.json`` and a ``.npy`` file a variable, checked by SHA-256, memory-mapped on reading."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from whence import files, results

FORMAT = "whence-result"


def save(data: xr.DataArray | xr.Dataset, path: str | Path) -> Path:
    """Write scores or truth to the folder ``path``, which is replaced whole or not at all.

    Raises ResultError if the data breaks the schema, OSError if the disk is full (the old folder then stays).
    """
    path = Path(path)
    dataset = results.check(data).to_dataset(name="score") if isinstance(data, xr.DataArray) else data
    attrs = data.attrs
    if isinstance(data, xr.Dataset):
        results.check_truth(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        variables = {
            str(name): _write_variable(partial, str(name), dataset[name])
            for name in [*dataset.data_vars, *dataset.coords]
        }
        kind = "scores" if isinstance(data, xr.DataArray) else "truth"
        header = {"format": FORMAT, "schema": results.SCHEMA, "kind": kind, "attrs": attrs, "variables": variables}
        files.write_json(partial / "result.json", header)
        _swap(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return path


def load(path: str | Path, verify: bool = True) -> Any:
    """Read what :func:`save` wrote: a DataArray of scores or a Dataset of truth, memory-mapped.

    Raises FileError if a file is missing, truncated or altered, ResultError for another schema version.
    """
    path = Path(path)
    header = files.read_json(path / "result.json")
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise files.FileError(f"{path} holds no result of this library")
    if header["schema"] != results.SCHEMA:
        raise results.ResultError(f"{path} has schema {header['schema']}; this version reads {results.SCHEMA}")
    loaded = {
        name: (tuple(about["dims"]), files.read_array(path / about["file"], about["sha256"] if verify else None))
        for name, about in header["variables"].items()
    }
    coords = {name: value for name, value in loaded.items() if header["variables"][name]["coordinate"]}
    data = {name: value for name, value in loaded.items() if name not in coords}
    dataset = xr.Dataset(data, coords=coords, attrs=header["attrs"])
    if header["kind"] == "truth":
        return results.check_truth(dataset)
    return results.check(dataset["score"].assign_attrs(header["attrs"]))


def _write_variable(folder: Path, name: str, array: xr.DataArray) -> dict[str, Any]:
    if "/" in name or name.startswith("."):
        raise results.ResultError(f"{name!r} cannot name a variable: it would leave the folder")
    values = np.asarray(array.values)
    if values.dtype.kind == "O":
        values = values.astype(str)
    sha256 = files.write_array(folder / f"{name}.npy", values)
    return {"file": f"{name}.npy", "dims": list(array.dims), "sha256": sha256, "coordinate": name in array.coords}


def _swap(partial: Path, path: Path) -> None:
    """Put ``partial`` where ``path`` is; the old folder is removed only after the new one stands."""
    if not path.exists():
        partial.rename(path)
        return
    if path.is_dir() and any(path.iterdir()) and not (path / "result.json").exists():
        raise FileExistsError(f"{path} exists and is not a result; choose another place")
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    path.rename(old / path.name)
    try:
        partial.rename(path)
    except BaseException:
        (old / path.name).rename(path)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

"""Prepared methods on disk: tensors as safetensors, and a header that says for which model, data and options."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from whence import files
from whence.objective import Objective

FORMAT = "whence-explainer"
PARTS = {"identity", "solver", "notes", "sha256"}


def plain(value: Any) -> Any:
    """A hyperparameter as JSON can hold it; objects by class name and their own fields, files by what is in them."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, **own}
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {_digest(value)}"
    if isinstance(value, Path):
        return f"file {files.digest(value)[:16]}"
    if isinstance(value, Mapping) and value and all(isinstance(one, Tensor) for one in value.values()):
        listed = {str(name): (tuple(one.shape), _digest(one)) for name, one in sorted(value.items())}
        return f"{len(listed)} tensors {hashlib.sha256(repr(listed).encode()).hexdigest()[:16]}"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return type(value).__name__


def identity(method: str, options: Mapping[str, Any], objective: Objective) -> dict[str, Any]:
    """What must be the same for prepared work to be valid."""
    ids = hashlib.sha256(repr(objective.train.ids.tolist()).encode()).hexdigest()[:16]
    return {
        "method": method,
        "options": dict(options),
        "checkpoint": objective.checkpoint,
        "task": objective.task.describe(),
        "objective": objective.task.objective,
        "train_ids": ids,
    }


def write(
    path: Path,
    tensors: Mapping[str, Tensor],
    key: Mapping[str, Any],
    solver: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> Path:
    """Write the folder; the header goes last, so a folder without one is not finished."""
    path.mkdir(parents=True, exist_ok=True)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(kept or {"empty": torch.zeros(1)})
    header = path / "explainer.json"
    header.unlink(missing_ok=True)
    files.write(path / "tensors.safetensors", lambda file: file.write(data))
    sha256 = files.digest(path / "tensors.safetensors")
    record = {"format": FORMAT, "identity": dict(key), "solver": dict(solver), "notes": dict(notes), "sha256": sha256}
    files.write_json(header, record)
    return path


def read(path: Path, key: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header; raises FileError if damaged, or prepared for another model, data set or options."""
    header = files.read_json(path / "explainer.json")
    if not isinstance(header, dict) or header.get("format") != FORMAT or not header.keys() >= PARTS:
        raise files.FileError(f"{path} holds no prepared method; fit it again")
    different = [name for name, value in key.items() if header["identity"].get(name) != value]
    if different:
        raise files.FileError(f"{path} was prepared for another {', '.join(different)}: fit the method again")
    data = path / "tensors.safetensors"
    if not data.is_file() or files.digest(data) != header["sha256"]:
        raise files.FileError(f"{data} is missing, truncated or altered: fit the method again")
    tensors = safetensors.torch.load_file(str(data))
    tensors.pop("empty", None)
    return tensors, header


def _digest(value: Tensor) -> str:
    data = value.detach().cpu().contiguous()
    return hashlib.sha256(data.numpy().tobytes()).hexdigest()[:16]

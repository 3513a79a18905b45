"""Files that are whole or not there: written beside, flushed, then moved into place."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt


class FileError(ValueError):
    """A file of ours that is missing, truncated or altered."""


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Let ``fill`` write into a temporary file in the same folder, then replace ``path`` by it.

    If anything fails (a full disk, say) the temporary file is removed and what was at ``path`` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path)
    try:
        with partial.open("xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def beside(path: Path) -> Path:
    """A hidden name in the same folder that nothing has yet; what is made there gets the user's usual permissions."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    write(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all; see :func:`json_text` for what it raises."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """A value as JSON; raises ValueError on NaN, which JSON has not, TypeError on what it cannot hold."""
    return json.dumps(value, indent=1, allow_nan=False, default=_plain)


def read_json(path: Path) -> Any:
    """Read JSON; raises FileError if the file is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileError(f"{path} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is truncated or not JSON ({error})") from error


def write_array(path: Path, array: npt.NDArray[Any]) -> str:
    """Write a ``.npy`` file (never pickled); returns its SHA-256."""
    write(path, lambda file: np.save(file, array, allow_pickle=False))
    return digest(path)


def read_array(path: Path, sha256: str | None = None) -> npt.NDArray[Any]:
    """Memory-map a ``.npy`` file; with ``sha256`` its bytes are checked first. Raises FileError."""
    if not path.is_file():
        raise FileError(f"{path} is missing")
    if sha256 is not None and digest(path) != sha256:
        raise FileError(f"{path} is truncated or was altered: its SHA-256 is not the one that was recorded")
    try:
        # Not np.load, which would also open archives of several arrays.
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise FileError(f"{path} is truncated or not an array file ({error})") from error
    return array


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")

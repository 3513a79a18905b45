"""Shelves: pieces of work that are finished one by one, each proved by a line of a manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from whence import files
from whence.execution.lock import RunError


class Writer(Protocol):
    """The run that a shelf stands in."""

    @property
    def folder(self) -> Path: ...

    def check_writable(self) -> None: ...


@dataclass(frozen=True)
class _Piece:
    """What one manifest line says of a key; ``turn`` numbers the times it was put, so that no file is overwritten."""

    turn: int
    arrays: Mapping[str, Mapping[str, Any]]


@dataclass
class Shelf:
    """Finished pieces by key (any string); each piece is a few named arrays. One thread of the writer puts."""

    run: Writer
    name: str
    _pieces: dict[str, _Piece] = field(default_factory=dict, init=False, repr=False)
    _end: int = field(default=0, init=False, repr=False)  # bytes of whole manifest lines
    _seen: tuple[int, int] | None = field(default=None, init=False, repr=False)

    @property
    def folder(self) -> Path:
        return self.run.folder / self.name

    def done(self, verify: bool = False) -> set[str]:
        """The keys whose arrays are all there with the recorded number of bytes; a resumed run skips these.

        ``verify`` reads every file and compares its SHA-256 too.
        """
        return {
            key for key, piece in self._read().items() if all(self._whole(a, verify) for a in piece.arrays.values())
        }

    def put(self, key: str, arrays: Mapping[str, npt.ArrayLike]) -> None:
        """Keep a finished piece: arrays first, then the line that proves them. A key put again is replaced.

        Raises RunError if the run is not open for writing or an array holds Python objects, TypeError if the key is
        no string, OSError if the disk is full; the shelf then still holds all it held.
        """
        self.run.check_writable()
        if not isinstance(key, str):
            raise TypeError(f"a key is a string, not {type(key).__name__}; use str(key)")
        values = {str(name): np.asarray(array) for name, array in arrays.items()}
        objects = [name for name, value in values.items() if value.dtype.hasobject]
        if objects:
            raise RunError(f"the arrays {objects} hold Python objects; convert them to numbers or strings first")
        before = self._read().get(key)
        turn = 0 if before is None else before.turn + 1
        stem = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        paths = [self.folder / f"{stem}-{turn}-{index}.npy" for index in range(len(values))]
        try:
            listed = {name: _write(path, value) for path, (name, value) in zip(paths, values.items(), strict=True)}
            self._append({"key": key, "turn": turn, "arrays": listed})
        except BaseException:
            _remove(paths)
            raise
        if before is not None:
            _remove([self.folder / about["file"] for about in before.arrays.values()])

    def get(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a finished piece, memory-mapped.

        Raises KeyError if the manifest has no such key, FileError if a file is missing, truncated or altered.
        """
        piece = self._read().get(key)
        if piece is None:
            raise KeyError(f"{key!r} is not on the shelf {self.name!r}; Shelf.done() lists what is")
        return {name: files.read_array(self.folder / a["file"], a["sha256"]) for name, a in piece.arrays.items()}

    def _whole(self, about: Mapping[str, Any], verify: bool) -> bool:
        path = self.folder / about["file"]
        if not path.is_file() or path.stat().st_size != about["bytes"]:
            return False
        return not verify or files.digest(path) == about["sha256"]

    def _read(self) -> Mapping[str, _Piece]:
        """The manifest, read again only when it changed. What follows the last line end was cut off by a kill."""
        try:
            status = (self.folder / "manifest.jsonl").stat()
        except FileNotFoundError:
            self._pieces, self._end, self._seen = {}, 0, None
            return self._pieces
        if self._seen != (status.st_size, status.st_mtime_ns):
            text = (self.folder / "manifest.jsonl").read_bytes()
            self._end = text.rfind(b"\n") + 1
            self._pieces = dict(_parse(text[: self._end]))
            self._seen = (status.st_size, status.st_mtime_ns)
        return self._pieces

    def _append(self, line: Mapping[str, Any]) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "manifest.jsonl").open("ab", buffering=0) as file:
            file.truncate(self._end)
            text = json.dumps(line).encode() + b"\n"
            try:
                if file.write(text) != len(text):
                    raise OSError(f"{file.name} could not be written whole; is the disk full?")
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(self._end)
                raise
            status = os.fstat(file.fileno())
        self._end += len(text)
        self._seen = (status.st_size, status.st_mtime_ns)
        self._pieces[line["key"]] = _Piece(line["turn"], line["arrays"])


def _write(path: Path, array: npt.NDArray[Any]) -> dict[str, Any]:
    sha256 = files.write_array(path, array)
    about = {"file": path.name, "shape": list(array.shape), "dtype": array.dtype.str}
    return about | {"bytes": path.stat().st_size, "sha256": sha256}


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        # A file that stays is no harm: no manifest line names it.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _parse(text: bytes) -> Iterator[tuple[str, _Piece]]:
    """The pieces of whole lines; a damaged line, or one that names a file elsewhere, proves nothing and is redone."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            arrays = {str(name): dict(about) for name, about in entry["arrays"].items()}
            sound = all(
                re.fullmatch(r"[0-9a-f]{40}-\d+-\d+\.npy", a["file"]) and {"bytes", "sha256"} <= a.keys()
                for a in arrays.values()
            )
            if sound and isinstance(entry["key"], str):
                yield entry["key"], _Piece(int(entry["turn"]), arrays)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue

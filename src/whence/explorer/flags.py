"""What a person noted about training examples: lines that are only ever appended, and a table for others to read."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

from whence.explorer.refused import Refused
from whence.explorer.sides import Side

if sys.platform != "win32":
    import fcntl

NAME = "flags.jsonl"
LONGEST = 2000
"""Characters of a note."""


class Flags:
    """The flags of a run folder. Several servers may keep flags in one folder: the last line about an example holds."""

    def __init__(self, folder: Path, train: Side, classes: list[str] | None) -> None:
        self._path = folder / NAME
        self._train = train
        self._classes = classes
        self._position = {value: at for at, value in enumerate(train.ids.tolist())}
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._found: dict[int, dict[str, Any]] = {}
        self._skipped = 0

    def read(self) -> dict[int, dict[str, Any]]:
        """``flag``, ``label``, ``note`` and ``when`` by position; an example about which nothing is noted is absent.

        A file that cannot be read holds nothing: :meth:`problems` says why.
        """
        try:
            return self._read()
        except OSError:
            return {}

    def _read(self) -> dict[int, dict[str, Any]]:
        with self._lock:
            try:
                status = self._path.lstat()
            except FileNotFoundError:
                self._found, self._seen, self._skipped = {}, None, 0
                return {}
            if self._seen != (status.st_size, status.st_mtime_ns):
                self._found, self._skipped = self._parse(_content(self._path))
                self._seen = (status.st_size, status.st_mtime_ns)
            return dict(self._found)

    def problems(self) -> list[str]:
        """What cannot be read, in a sentence."""
        try:
            self._read()
        except OSError as error:
            return [f"{NAME} cannot be read ({error.strerror or error}): flags are not shown."]
        lines = "1 line" if self._skipped == 1 else f"{self._skipped} lines"
        return [f"{lines} of {NAME} cannot be understood and are passed over."] if self._skipped else []

    def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps what is noted about one example. Raises Refused if it cannot be understood or not be written."""
        position = body.get("position")
        if not _whole(position) or not 0 <= position < len(self._train):
            raise Refused(f"position must be a whole number from 0 to {len(self._train) - 1}")
        record = self._record(body)
        identity = self._train.ids[position].item()
        line = {"id": identity, **record, "when": datetime.now(UTC).isoformat(timespec="seconds")}
        with self._lock:
            try:
                _append(self._path, json.dumps(line).encode() + b"\n")
            except OSError as error:
                words = f"{NAME} cannot be written ({error.strerror}); make the run folder writable"
                raise Refused(words, 409) from error
        return {"position": position, **record, "when": line["when"]}

    def _record(self, body: Mapping[str, Any]) -> dict[str, Any]:
        flag, label, note = body.get("flag", False), body.get("label"), body.get("note", "")
        if not isinstance(flag, bool):
            raise Refused("flag must be true or false")
        if label is not None:
            if self._classes is None:
                raise Refused("this run has no classes, so no label can be suggested; write a note instead")
            if not _whole(label) or not 0 <= label < len(self._classes):
                raise Refused(f"label must be the number of a class, from 0 to {len(self._classes) - 1}, or null")
        if not isinstance(note, str) or len(note) > LONGEST:
            raise Refused(f"note must be a text of at most {LONGEST} characters")
        return {"flag": flag, "label": label, "note": note}

    def _parse(self, content: bytes) -> tuple[dict[int, dict[str, Any]], int]:
        """What whole lines say; a line that was cut off by a kill, or that someone altered, is passed over."""
        found: dict[int, dict[str, Any]] = {}
        skipped = 0
        for line in content.split(b"\n"):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                position = self._position[entry["id"]]
                record, when = self._record(entry), str(entry["when"])[:40]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                skipped += 1
                continue
            found.pop(position, None)
            if record["flag"] or record["label"] is not None or record["note"]:
                found[position] = {**record, "when": when}
        return found, skipped

    def table(self) -> str:
        """The flags as CSV, with what is known of each example; no cell can be taken for a formula."""
        import pandas as pd

        from whence import tables

        return tables.csv_text(pd.DataFrame([*self._rows()], columns=list(_COLUMNS)))

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for position, record in sorted(self.read().items()):
            label = self._train.value("label", position)
            yield (
                self._train.ids[position].item(),
                position,
                self._class(label),
                record["flag"],
                self._class(record["label"]),
                record["note"],
                self._train.value("loss", position),
                self._train.value("self_influence", position),
                record["when"],
            )

    def _class(self, label: Any) -> Any:
        named = self._classes is not None and isinstance(label, int) and 0 <= label < len(self._classes)
        return self._classes[label] if named and self._classes is not None else label


_COLUMNS = ("id", "position", "label", "flag", "suggested", "note", "loss", "self_influence", "when")


def _content(path: Path) -> bytes:
    """The file's bytes. Raises OSError if it is a link or no plain file: a run folder may come from anyone."""
    with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _opened(path: Path, how: int) -> int:
    handle = os.open(path, how | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no plain file")
    return handle


def _append(path: Path, line: bytes) -> None:
    """One line at the end of the file, on the disk when this returns; what a kill cut off gets a line end first."""
    handle = _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        torn = os.fstat(handle).st_size > 0
        if torn:
            os.lseek(handle, -1, os.SEEK_END)
            torn = os.read(handle, 1) != b"\n"
        content = b"\n" + line if torn else line
        if os.write(handle, content) != len(content):
            raise OSError(errno.ENOSPC, "the disk is full")
        os.fsync(handle)
    finally:
        os.close(handle)


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

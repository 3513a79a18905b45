"""A run is a folder that can be replayed and resumed.

::

    run.json                 format, schema, kind, config, versions, commit, start time: written before any work
    run.lock                 pid, host and process start time of the one writer
    results/<name>/          scores and truth, see whence.archive
    <shelf>/manifest.jsonl   one line a finished piece: its key and its arrays with shape, dtype, bytes and SHA-256
    <shelf>/<hash>.npy       the arrays; named by a hash of the key, so that no key can name a place outside

What the manifest proves need not be computed again; another configuration is an error, never a mix.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from whence import archive
from whence.execution import record
from whence.execution.lock import Lock, RunError
from whence.execution.record import JSON
from whence.execution.shelf import Shelf

__all__ = ["JSON", "RunError", "RunFolder", "Shelf"]

RESERVED = ("results", "run.json", "run.lock")


class RunFolder:
    """One run on disk. Open it with :meth:`open` (one writer at a time) or :meth:`read` (any number of readers)."""

    def __init__(self, folder: Path, about: Mapping[str, Any], lock: Lock | None) -> None:
        self.folder = folder
        self.about = about
        self._lock = lock

    @classmethod
    def open(cls, path: str | Path, config: Mapping[str, JSON], kind: str = "run") -> RunFolder:
        """Create the run, or resume it if it was made with the same ``kind`` and ``config``.

        Raises RunError: the folder is in use, is not a run, is damaged, or holds another kind or configuration.
        """
        folder, config = Path(path), record.plain(config)
        record.check_place(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock.acquire(folder / "run.lock")
        try:
            if not (folder / "run.json").exists():
                record.write(folder, kind, config)
            about = record.read(folder)
            record.check_same(folder, about, {"kind": kind, "config": config})
        except BaseException:
            lock.release()
            raise
        return cls(folder, about, lock)

    @classmethod
    def read(cls, path: str | Path) -> RunFolder:
        """The run for reading only, also while another process writes it. Raises RunError if it is no run."""
        return cls(Path(path), record.read(Path(path)), None)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it was recorded."""
        return dict(self.about["config"])

    @property
    def writable(self) -> bool:
        """Whether this object holds the lock; a copy of it in a worker process does not."""
        return self._lock is not None and self._lock.holder["pid"] == os.getpid()

    def shelf(self, name: str) -> Shelf:
        """The shelf ``name``, made by the first piece put on it. Raises RunError for a name that is no plain name."""
        return Shelf(self, _plain_name(name))

    def path(self, name: str) -> Path:
        """Where the result ``name`` lies. Raises RunError for a name that is no plain name."""
        return self.folder / "results" / _plain_name(name)

    def save(self, name: str, data: Any) -> Path:
        """Keep scores or truth, whole or not at all; see :func:`whence.archive.save` for what it raises."""
        self.check_writable()
        return archive.save(data, self.path(name))

    def load(self, name: str) -> Any:
        """The scores or truth kept as ``name``; see :func:`whence.archive.load` for what it raises."""
        return archive.load(self.path(name))

    def check_writable(self) -> None:
        """Raises RunError unless this object holds the lock."""
        if not self.writable:
            raise RunError(
                f"{self.folder} is open for reading only, closed, or another process's; open it with RunFolder.open"
            )

    def close(self) -> None:
        """Let other writers in; closing twice does no harm."""
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.writable:
            self._forget_if_empty()
        self.close()

    def _forget_if_empty(self) -> None:
        """Where work failed before it kept anything, the folder is free for another configuration."""
        if {path.name for path in self.folder.iterdir()} <= {"run.json", "run.lock"}:
            (self.folder / "run.json").unlink()


def _plain_name(name: str) -> str:
    if name in RESERVED or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,99}", name):
        raise RunError(
            f"{name!r} cannot name a shelf or result; use up to 100 letters, digits and _ . + = - that do not begin "
            f"with a dot, and none of {', '.join(RESERVED)}"
        )
    return name

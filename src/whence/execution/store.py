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

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from whence import archive, files

if sys.platform != "win32":
    import fcntl

__all__ = ["JSON", "RunError", "RunFolder", "Shelf"]

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

FORMAT = "whence-run"
SCHEMA = 1
RESERVED = ("results", "run.json", "run.lock")


class RunError(ValueError):
    """A folder that is no run, is in use, or belongs to another run than the one that was asked for."""


class RunFolder:
    """One run on disk. Open it with :meth:`open` (one writer at a time) or :meth:`read` (any number of readers)."""

    def __init__(self, folder: Path, about: Mapping[str, Any], lock: _Lock | None) -> None:
        self.folder = folder
        self.about = about
        self._lock = lock

    @classmethod
    def open(cls, path: str | Path, config: Mapping[str, JSON], kind: str = "run") -> RunFolder:
        """Create the run, or resume it if it was made with the same ``kind`` and ``config``.

        Raises RunError: the folder is in use, is not a run, is damaged, or holds another kind or configuration.
        """
        folder, config = Path(path), _plain(config)
        _check_place(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _Lock.acquire(folder / "run.lock")
        try:
            if not (folder / "run.json").exists():
                files.write_json(folder / "run.json", _about(kind, config))
            about = _read_about(folder)
            _check_same(folder, about, {"kind": kind, "config": config})
        except BaseException:
            lock.release()
            raise
        return cls(folder, about, lock)

    @classmethod
    def read(cls, path: str | Path) -> RunFolder:
        """The run for reading only, also while another process writes it. Raises RunError if it is no run."""
        return cls(Path(path), _read_about(Path(path)), None)

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
        self.close()


# -- shelves: pieces of work that are finished one by one --


@dataclass(frozen=True)
class _Piece:
    """What one manifest line says of a key; ``turn`` numbers the times it was put, so that no file is overwritten."""

    turn: int
    arrays: Mapping[str, Mapping[str, Any]]


@dataclass
class Shelf:
    """Finished pieces by key (any string); each piece is a few named arrays. One thread of the writer puts."""

    run: RunFolder
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


# -- the lock: one writer --


@dataclass(frozen=True)
class _Lock:
    path: Path
    holder: Mapping[str, Any]

    @classmethod
    def acquire(cls, path: Path) -> _Lock:
        """Make the lock file, taking over one whose process is gone. Raises RunError if a writer has it."""
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid())}
        with _guard(path.parent):
            if path.exists():
                _check_stale(path)
                path.unlink()
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError as error:
                raise RunError(f"{path.parent} was opened by another process just now; try again later") from error
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(holder, file)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        return cls(path, holder)

    def release(self) -> None:
        """Remove the lock file, if it is still this process's: a forked child must not free its parent's lock."""
        with contextlib.suppress(files.FileError):
            if os.getpid() == self.holder["pid"] and files.read_json(self.path) == self.holder:
                self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _guard(folder: Path) -> Iterator[None]:
    """Keeps two processes from taking over the same stale lock, where the file system can; freed by the kernel."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot; creating the lock file still is atomic
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _check_stale(path: Path) -> None:
    remedy = f"if that process is gone, delete {path}"
    try:
        holder = files.read_json(path)
        pid, host, started = int(holder["pid"]), str(holder["host"]), holder["started"]
    except (files.FileError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged, so it does not say who writes here; if nobody does, delete it") from error
    if host != socket.gethostname():
        raise RunError(f"{path.parent} is in use by pid {pid} on {host}, which cannot be checked from here; {remedy}")
    if _alive(pid, started):
        raise RunError(f"{path.parent} is in use by pid {pid} on {host}; wait for it, or use RunFolder.read")


def _alive(pid: int, started: str | None) -> bool:
    """Whether the process still runs; another process that was given the same pid later does not count."""
    if sys.platform == "win32":  # there, signal 0 would interrupt the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    now = _started(pid)
    return started is None or now is None or now == started


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; "gone" if it is a zombie; None where /proc does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before ")" may hold spaces and brackets
    return "gone" if fields[0] in "ZX" else fields[19]


# -- run.json --


def _about(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("whence", "torch", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    header = {"format": FORMAT, "schema": SCHEMA, "kind": kind, "config": config}
    return header | {"versions": versions, "commit": _commit(), "started": datetime.now(UTC).isoformat()}


def _commit() -> str | None:
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _read_about(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    if not path.exists():
        raise RunError(f"{folder} holds no run (run.json is missing); make one with RunFolder.open")
    try:
        about = files.read_json(path)
    except files.FileError as error:
        raise RunError(f"{error}; restore run.json from a copy, or start again in another folder") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RunError(f"{path} is not the record of a run of this library; choose another folder")
    if about.get("schema") != SCHEMA:
        raise RunError(
            f"{folder} has run schema {about.get('schema')}, this version reads {SCHEMA}; "
            "use the version of whence that wrote it, or another folder"
        )
    if not isinstance(about.get("config"), dict) or not isinstance(about.get("kind"), str):
        raise RunError(f"{path} lacks its config or kind; restore it from a copy, or start again in another folder")
    return about


def _check_place(folder: Path) -> None:
    """Raises RunError for a place that is taken; only what a killed start of a run leaves behind is let pass."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; a run needs a folder of its own")
    if not folder.exists() or (folder / "run.json").exists():
        return
    foreign = sorted(p.name for p in folder.iterdir() if p.name != "run.lock" and not p.name.startswith(".run.json."))
    if foreign:
        raise RunError(f"{folder} is not a run and not empty (it holds {foreign[:3]}); choose a new or empty folder")


def _check_same(folder: Path, about: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    old = dict(_leaves({"kind": about["kind"], "config": about["config"]}))
    new = dict(_leaves(asked))
    absent = "(absent)"
    changed = [
        f"{name}: {old.get(name, absent)} -> {new.get(name, absent)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise RunError(
            f"{folder} was made with another configuration ({'; '.join(changed)}); "
            "use another folder, or the same configuration"
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and JSON texts of all leaves; as texts, because ``True == 1`` and yet they differ."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value)


def _plain(config: Mapping[str, JSON]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RunError(f"the configuration cannot be written as JSON ({error}); use plain finite values") from error
    return plain


def _plain_name(name: str) -> str:
    if name in RESERVED or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,99}", name):
        raise RunError(
            f"{name!r} cannot name a shelf or result; use up to 100 letters, digits and _ . + = - that do not begin "
            f"with a dot, and none of {', '.join(RESERVED)}"
        )
    return name

"""The lock of a run folder: one writer at a time, and a lock whose process is gone is taken over."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whence import files

if sys.platform != "win32":
    import fcntl


class RunError(ValueError):
    """A folder that is no run, is in use, or belongs to another run than the one that was asked for."""


@dataclass(frozen=True)
class Lock:
    path: Path
    holder: Mapping[str, Any]

    @classmethod
    def acquire(cls, path: Path) -> Lock:
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

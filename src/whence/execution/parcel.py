"""A function on its way to worker processes: written to disk once, read once by each worker.

What a task holds (data, factors) may be large. Sent along with each item it would be serialised as often as there are
items; so the items travel with the path of the parcel only.
"""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib.externals.loky.backend import reduction

_opened: dict[str, Callable[[Any], Any]] = {}


@dataclass(frozen=True)
class Parcel:
    """Calls the function that lies at ``path``; a worker keeps the latest that it has read."""

    path: str

    def __call__(self, item: Any) -> Any:
        if self.path not in _opened:
            _opened.clear()
            with Path(self.path).open("rb") as file:
                _opened[self.path] = pickle.load(file)  # noqa: S301  written by this user's own process just now
        return _opened[self.path](item)


@contextlib.contextmanager
def packed(fn: Callable[[Any], Any]) -> Iterator[Parcel]:
    """The function as a parcel in a folder that only this user can read; it is removed at the end.

    Raises what pickling raises, if ``fn`` cannot be sent, and OSError if the disk for temporary files is full.
    """
    with tempfile.TemporaryDirectory(prefix="whence-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "function.pkl"
        with path.open("xb") as file:
            reduction.dump(fn, file)
        yield Parcel(str(path))

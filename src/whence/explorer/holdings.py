"""The results of a run, each opened and proved. A broken one becomes a sentence, the rest works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import xarray as xr

from whence import archive, files, verification
from whence.explorer import stored
from whence.explorer.refused import BROKEN, Refused
from whence.explorer.scores import Scores, scores
from whence.explorer.truths import Truth, truth
from whence.tables import printable

PROVED_AT_ONCE = 4_000_000
"""Bytes of an array that is compared with its SHA-256 when it is listed; a larger one when it is first used."""
VERIFIED = " verified"
"""What is added to the name of scores for the refits that they carry."""


class Holdings:
    """What lies in ``folder``, the results of a run: ``scores`` and ``truths`` by name.

    ``train``, ``queries``: the ids of the page's examples, in its order. ``only``: the scores that are shown, if not
    all.
    """

    def __init__(
        self,
        folder: Path,
        train: npt.NDArray[Any],
        queries: npt.NDArray[Any],
        only: frozenset[str] | None = None,
    ) -> None:
        self._folder = folder
        self._ids = (train, queries)
        self._only = only
        self._seen: dict[str, tuple[int, ...]] = {}
        self._unproved: set[str] = set()
        self._problems: dict[str, str] = {}
        self.scores: dict[str, Scores] = {}
        self.truths: dict[str, Truth] = {}

    @property
    def problems(self) -> list[str]:
        """What is wrong with the results, in sentences."""
        return [self._problems[name] for name in sorted(self._problems)]

    def refresh(self) -> None:
        """Reads what came, changed or went since the last time."""
        now = {path.name: _state(path) for path in self._places()}
        for name in sorted(self._seen.keys() | now.keys()):
            if self._seen.get(name) != now.get(name):
                self._forget(name)
                if name in now:
                    self._read(name)
        self._seen = now

    def unproved(self, name: str) -> bool:
        """Whether the large arrays of a result have not been compared with their SHA-256 yet."""
        return name in self._unproved

    def prove(self, name: str) -> None:
        """Compares them, which takes a second for a gigabyte. Raises one of BROKEN."""
        state = self._seen.get(name)
        _prove(self._folder / name, small=False)
        # Another result may have come under this name meanwhile.
        if self._seen.get(name) == state:
            self._unproved.discard(name)

    def withdraw(self, name: str, error: BaseException) -> Refused:
        """Takes away a result that turned out to be broken, and says so from now on."""
        self._forget(name)
        words = printable(" ".join(str(error).split()))[:300].rstrip(".") or type(error).__name__
        self._problems[name] = f"{printable(name)} cannot be shown: {words}. Compute it again, or copy it anew."
        return Refused(self._problems[name], 410)

    def _places(self) -> list[Path]:
        try:
            found = sorted(self._folder.iterdir())
        except OSError:
            return []
        # What is being written has a hidden name.
        return [path for path in found if not path.name.startswith(".") and path.is_dir()]

    def _forget(self, name: str) -> None:
        for kept in (self.scores, self.truths, self._problems):
            kept.pop(name, None)
        self.truths.pop(name + VERIFIED, None)
        self._unproved.discard(name)

    def _read(self, name: str) -> None:
        path = self._folder / name
        try:
            _prove(path, small=True)
            data = archive.load(path, verify=False)
            refitted = isinstance(data, xr.Dataset) or "verification" in data.attrs
            if refitted:
                # Effects are read at once, and so are proved at once.
                _prove(path, small=False)
            if isinstance(data, xr.Dataset):
                self.truths[name] = truth(name, data, stored.single(path / "member.npy"), self._ids)
            elif self._only is None or name in self._only:
                self._read_scores(name, path, data)
                if not refitted:
                    self._unproved.add(name)
        except BROKEN as error:
            self.withdraw(name, error)

    def _read_scores(self, name: str, path: Path, data: xr.DataArray) -> None:
        """Scores, and the refits that verified scores carry with them."""
        self.scores[name] = scores(name, path, data, self._ids)
        self._say_of_ids(name, self.scores[name])
        if "verification" in data.attrs:
            refits = verification.truth_of(data)
            alone = refits["member"].values.argmax(axis=1)
            self.truths[name + VERIFIED] = truth(name + VERIFIED, refits, alone, self._ids)

    def _say_of_ids(self, name: str, found: Scores) -> None:
        absent = 0 if found.columns is None else int((found.columns < 0).sum())
        if absent:
            self._problems[name] = (
                f"{name} has scores for {absent:,} training examples that are not among those shown; they are left out."
            )


def _prove(path: Path, small: bool) -> None:
    """Compares the small or the large arrays of a result with their SHA-256. Raises FileError."""
    for name, about in files.read_json(path / "result.json")["variables"].items():
        place = path / f"{name}.npy"
        if not place.is_file():
            raise files.FileError(f"{name}.npy is missing")
        if (place.stat().st_size <= PROVED_AT_ONCE) == small and files.digest(place) != about["sha256"]:
            raise files.FileError(f"{name}.npy is truncated or was altered")


def _state(path: Path) -> tuple[int, ...]:
    """Another one means another result; a result is replaced as a whole."""
    try:
        status = (path / "result.json").stat()
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)

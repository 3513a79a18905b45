"""Reading the exhibit of a run: memory-mapped, without torch, and without trust in what lies there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from whence import files
from whence.exhibit import sound
from whence.exhibit.about import complete
from whence.exhibit.sound import Array, Arrays, Unsound

NAME = "exhibit"
SIDES = ("train", "queries")
ROWS = {"image": "pictures", "text": "texts", "features": "features"}
"""What the pieces that hold the rows are called, by the kind of the rows."""
REMEDY = "give the run's command again"


class Shelf(Protocol):
    """Finished pieces by key, as ``RunFolder.shelf`` has them."""

    def done(self) -> set[str]: ...

    def get(self, key: str) -> Mapping[str, Array]: ...


class Run(Protocol):
    """What is read of a run folder."""

    @property
    def folder(self) -> Path: ...

    def shelf(self, name: str) -> Any: ...


@dataclass(frozen=True)
class Exhibit:
    """What a page shows of a run beside its scores.

    ``about``: all fields of about.json, defaults filled in; ``problems``: a sentence on each part that is missing or
    damaged, which is then absent. Positions count along the training examples or the queries of the exhibit.
    """

    about: Mapping[str, Any]
    problems: list[str]
    _pieces: Mapping[str, Arrays]

    @classmethod
    def read(cls, run: Run) -> Exhibit:
        """The exhibit of a run; where there is none, or only parts of one, ``problems`` says so."""
        folder = run.folder / NAME
        if not folder.is_dir():
            words = f"This run has no exhibit (pictures or texts, maps, columns): {REMEDY} to have one made."
            return cls(complete(None)[0], [words], {})
        about, problems = about_of(folder / "about.json")
        shelf: Shelf = run.shelf(NAME)
        pieces = dict(_sides(shelf, problems))
        counts = {side: len(piece["id"]) for side, piece in pieces.items()}
        kind = about["kind"] if about["kind"] in ROWS else _kind_of(shelf)
        for key, check in _wanted(shelf, about, kind, counts):
            found = _get(shelf, key, check, problems)
            if found is not None:
                pieces[key] = found
        maps = [one for one in about["maps"] if f"map {one['name']}" in pieces]
        columns = [one for one in about["columns"] if one["name"] in pieces.get("columns", {})]
        rows = kind if any(f"{side} {ROWS.get(kind)}" in pieces for side in SIDES) else "none"
        return cls({**about, "kind": rows, "maps": maps, "columns": columns}, problems, pieces)

    def columns(self, side: str) -> Arrays:
        """Arrays along a side, ``"train"`` or ``"queries"``: id, and those known of label, prediction, loss, ..."""
        found = dict(self._pieces.get(side, {}))
        return {**found, **self._pieces.get("columns", {})} if side == "train" else found

    def pictures(self, side: str) -> Array | None:
        """Pictures uint8 [n, height, width] or [n, height, width, 3]."""
        piece = self._pieces.get(f"{side} pictures")
        return None if piece is None else piece["pictures"]

    def text(self, side: str, position: int) -> str | None:
        """The text of a row; None where rows are no texts. Raises IndexError past the last one."""
        piece = self._pieces.get(f"{side} texts")
        if piece is None:
            return None
        _check(position, len(piece["ends"]))
        start = int(piece["ends"][position - 1]) if position else 0
        return bytes(piece["utf8"][start : int(piece["ends"][position])]).decode("utf-8", "replace")

    def features(self, side: str, position: int) -> dict[str, float] | None:
        """The features of a row by name (NaN: not known); None where rows have none. Raises IndexError as ``text``."""
        piece = self._pieces.get(f"{side} features")
        if piece is None:
            return None
        _check(position, len(piece["values"]))
        return dict(zip(piece["names"].tolist(), piece["values"][position].tolist(), strict=True))

    def map(self, name: str) -> Arrays:
        """The map of this name out of ``about["maps"]``: ``train`` [n, 2] and ``queries`` [m, 2]; raises KeyError."""
        if f"map {name}" not in self._pieces:
            raise KeyError(f"there is no map {name!r}; there are {[one['name'] for one in self.about['maps']]}")
        return self._pieces[f"map {name}"]


def _check(position: int, count: int) -> None:
    if not 0 <= position < count:
        raise IndexError(f"there is no row {position}; there are {count}")


def about_of(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What about.json says, and what is amiss with it."""
    try:
        record = files.read_json(path)
    except (files.FileError, OSError, RecursionError) as error:
        return complete(None)[0], [f"exhibit/about.json is not there yet or damaged ({error}): {REMEDY}."]
    return complete(record)


def _sides(shelf: Shelf, problems: list[str]) -> Iterator[tuple[str, Arrays]]:
    for side in SIDES:
        found = _get(shelf, side, sound.examples, problems)
        if found is not None:
            yield side, found


def _kind_of(shelf: Shelf) -> str:
    """The kind of the rows by the pieces that lie there."""
    done = shelf.done()
    return next((kind for kind, word in ROWS.items() if any(f"{side} {word}" in done for side in SIDES)), "none")


def _wanted(
    shelf: Shelf, about: Mapping[str, Any], kind: str, counts: Mapping[str, int]
) -> Iterator[tuple[str, sound.Check]]:
    """The further pieces that there should be; what has no ids beside it cannot be laid out along a side."""
    if kind in ROWS:
        for side in counts:
            yield f"{side} {ROWS[kind]}", sound.rows(ROWS[kind], counts[side])
    if "train" in counts and (about["columns"] or "columns" in shelf.done()):
        yield "columns", sound.columns(counts["train"])
    if len(counts) == len(SIDES):
        for one in about["maps"]:
            yield f"map {one['name']}", sound.places(counts["train"], counts["queries"])


def _get(shelf: Shelf, key: str, check: sound.Check, problems: list[str]) -> Arrays | None:
    """A piece that is whole and sound, or None and a problem."""
    try:
        return check(shelf.get(key))
    except KeyError:
        problems.append(f"The exhibit lacks its {key}: {REMEDY}.")
    except (files.FileError, OSError, Unsound) as error:
        problems.append(f"The exhibit's {key} cannot be shown ({error}): {REMEDY}.")
    return None

"""What the arrays of an exhibit's pieces must be; a stranger's run folder may hold anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = dict[str, Array]
Check: TypeAlias = Callable[[Mapping[str, Array]], Arrays]
SAID = {"label": "iuf", "prediction": "iuf", "confidence": "f", "loss": "f"}
COLUMNS = {"self_influence": "f", "disagreement": "f", "neighbours_label": "iu"}


class Unsound(ValueError):
    """Arrays that are not what their key promises."""


def examples(piece: Mapping[str, Array]) -> Arrays:
    """``id`` and what is said of the examples."""
    ids = _array(piece, "id", "iuU", 1)
    if len(np.unique(ids)) != len(ids):
        raise Unsound("an id stands there twice")
    return {"id": ids, **_along(piece, SAID, len(ids))}


def columns(count: int) -> Check:
    """Numbers along the training examples."""
    return lambda piece: _along(piece, COLUMNS, count)


def rows(word: str, count: int) -> Check:
    """Pictures, texts or features of ``count`` rows."""
    return lambda piece: _counted(_ROWS[word](piece), count)


def places(train: int, queries: int) -> Check:
    """A map's places."""

    def check(piece: Mapping[str, Array]) -> Arrays:
        found = {side: _array(piece, side, "f", 2) for side in ("train", "queries")}
        shapes = [found["train"].shape, found["queries"].shape]
        if shapes != [(train, 2), (queries, 2)]:
            raise Unsound(f"its shapes are {shapes} for {train} training examples and {queries} queries")
        return found

    return check


def _pictures(piece: Mapping[str, Array]) -> tuple[Arrays, int]:
    found = _array(piece, "pictures", "u", 3, 4)
    if found.dtype != np.uint8 or (found.ndim == 4 and found.shape[3] != 3) or 0 in found.shape[1:]:
        raise Unsound(f"its pictures are {found.dtype} of shape {found.shape}")
    return {"pictures": found}, len(found)


def _texts(piece: Mapping[str, Array]) -> tuple[Arrays, int]:
    utf8, ends = _array(piece, "utf8", "u", 1), _array(piece, "ends", "iu", 1)
    rising = bool((np.diff(ends) >= 0).all()) and (len(ends) == 0 or (ends[0] >= 0 and ends[-1] <= len(utf8)))
    if utf8.dtype != np.uint8 or not rising:
        raise Unsound("its texts end where there are none")
    return {"utf8": utf8, "ends": ends}, len(ends)


def _features(piece: Mapping[str, Array]) -> tuple[Arrays, int]:
    values, names = _array(piece, "values", "f", 2), _array(piece, "names", "U", 1)
    if len(names) != values.shape[1] or len(np.unique(names)) != len(names):
        raise Unsound(f"{len(names)} names for {values.shape[1]} features")
    return {"values": values, "names": names}, len(values)


_ROWS: dict[str, Callable[[Mapping[str, Array]], tuple[Arrays, int]]] = {
    "pictures": _pictures,
    "texts": _texts,
    "features": _features,
}


def _counted(found: tuple[Arrays, int], count: int) -> Arrays:
    if found[1] != count:
        raise Unsound(f"it holds {found[1]} rows for {count} examples")
    return found[0]


def _along(piece: Mapping[str, Array], kinds: Mapping[str, str], count: int) -> Arrays:
    found = {name: _array(piece, name, kind, 1) for name, kind in kinds.items() if name in piece}
    wrong = [name for name, array in found.items() if len(array) != count]
    if wrong:
        raise Unsound(f"{', '.join(wrong)}: not one number for each of {count} examples")
    return found


def _array(piece: Mapping[str, Array], name: str, kinds: str, *dimensions: int) -> Array:
    if name not in piece:
        raise Unsound(f"it lacks {name!r}")
    array = piece[name]
    if array.dtype.kind not in kinds or array.ndim not in dimensions:
        raise Unsound(f"{name!r} is {array.dtype} of shape {array.shape}")
    return array

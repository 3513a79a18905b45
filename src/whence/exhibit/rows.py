"""How the rows of a data set look to a person: as arrays of pictures, texts or features, for one side of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from whence.display import SMALLEST_IMAGE, Kind, Shown, shown
from whence.examples import Examples
from whence.exhibit.pictures import Look, PictureError, batch_in_bytes, in_bytes, look_of

SAMPLE = 1000
"""Rows that the look of all pictures is taken from."""
FEATURES = 64
"""Features that are kept."""
BATCH = 1024
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Manner:
    """How all rows are shown: ``kind``, for pictures their ``look``, for features their ``names`` (``of`` so many)."""

    kind: Kind
    look: Look | None = None
    names: tuple[str, ...] = ()
    of: int = 0

    @property
    def note(self) -> str:
        """What a person should know of it, or nothing."""
        if self.of > len(self.names):
            return f"Of {self.of:,} features the first {len(self.names)} are shown."
        return "Pictures are shown smaller than they are." if self.look is not None and self.look.reduced else ""


def manner_of(train: Examples) -> Manner:
    """How the training examples are shown, by the first of them; pictures share the look of up to 1,000."""
    first = _shown(train, 0)
    if first is None:
        raise ValueError("the first training example cannot be shown")
    if first.kind == "image":
        some = np.unique(np.linspace(0, len(train) - 1, SAMPLE).astype(int))
        found = (_shown(train, int(position)) for position in some)
        return Manner("image", look_of(one.value for one in found if one is not None and one.kind == "image"))
    if first.kind == "text" or not _numbers(first.value):
        return Manner("text")
    names = list(_flat(first.value))
    return Manner("features", names=tuple(names[:FEATURES]), of=len(names))


def rows_of(examples: Examples, manner: Manner) -> Arrays:
    """The arrays of a piece for these examples; ``blank``: positions of rows that cannot be shown; ``note``: words."""
    if manner.kind == "image":
        found, blank = _pictures(examples, manner)
    elif manner.kind == "text":
        found, blank = _texts(examples)
    else:
        found, blank = _features(examples, manner)
    return {**found, "blank": np.array(blank, dtype=np.int64), "note": np.array(manner.note)}


def _pictures(examples: Examples, manner: Manner) -> tuple[Arrays, list[int]]:
    look, blank = manner.look, []
    if look is None:
        raise PictureError("pictures have no look")
    found = np.zeros((len(examples), *look.shape), dtype=np.uint8)
    if _plain_images(examples):
        for window, batch in examples.batches(BATCH):
            found[window] = batch_in_bytes(_channels_last(batch.inputs), look)
        return {"pictures": found}, []
    for position in range(len(examples)):
        one = _shown(examples, position)
        try:
            found[position] = in_bytes(one.value if one is not None and one.kind == "image" else None, look)
        except PictureError:
            blank.append(position)
    return {"pictures": found}, blank


def _texts(examples: Examples) -> tuple[Arrays, list[int]]:
    pieces, blank = [], []
    for position in range(len(examples)):
        one = _shown(examples, position)
        if one is None or one.kind == "image":
            blank.append(position)
            pieces.append(b"")
        else:
            pieces.append(_words(one).encode("utf-8", "replace"))
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    return {"utf8": np.frombuffer(b"".join(pieces), dtype=np.uint8), "ends": ends}, blank


def _features(examples: Examples, manner: Manner) -> tuple[Arrays, list[int]]:
    names, blank = manner.names, []
    found = np.full((len(examples), len(names)), np.nan, dtype=np.float32)
    for start, values in _tables(examples):
        if values is None:
            blank.append(start)
        elif isinstance(values, Mapping):
            found[start] = [values.get(name, np.nan) for name in names]
        else:
            found[start : start + len(values)] = values[:, : len(names)]
    return {"values": found, "names": np.array(names, dtype=str)}, blank


def _tables(examples: Examples) -> Iterator[tuple[int, Any]]:
    """Where rows start, and their features: many rows at once where the inputs are one tensor, else one by name."""
    if examples.show is None and isinstance(examples.take(slice(0, 1)).inputs, Tensor):
        for window, batch in examples.batches(BATCH):
            yield window.start, batch.inputs.reshape(len(batch), -1).detach().cpu().float().numpy()
        return
    for position in range(len(examples)):
        one = _shown(examples, position)
        sound = one is not None and one.kind == "features" and _numbers(one.value)
        yield position, _flat(one.value) if one is not None and sound else None


def _shown(examples: Examples, position: int) -> Shown | None:
    """The row as it is shown; None where that fails."""
    one = examples[np.array([position])]
    try:
        return shown(one, one.ids.tolist()[0])
    except Exception:  # noqa: BLE001  a function of the user's may raise anything, and a row that is not shown stops nothing
        return None


def _plain_images(examples: Examples) -> bool:
    """Whether all rows are images by the form of one tensor, so that they need not be asked for one by one."""
    if examples.show is not None or len(examples) == 0:
        return False
    inputs = examples.take(slice(0, 1)).inputs
    return isinstance(inputs, Tensor) and inputs.ndim in (3, 4) and min(inputs.shape[-2:]) >= SMALLEST_IMAGE


def _channels_last(inputs: Tensor) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = inputs.detach().cpu().numpy()
    if values.ndim == 3:
        return values
    return values[:, 0] if values.shape[1] == 1 else np.moveaxis(values, 1, -1)


def _words(one: Shown) -> str:
    """A text, or a table with values that are no numbers as lines."""
    if isinstance(one.value, Mapping):
        return "\n".join(f"{name}: {value}" for name, value in one.value.items())
    return str(one.value)


def _numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(part, float) for part in _flat(value).values())


def _flat(features: Mapping[Any, Any]) -> dict[str, Any]:
    """Features by name, lists spread over numbered names; numbers as float, other values as they are."""
    found: dict[str, Any] = {}
    for name, value in features.items():
        for words, part in _spread(str(name), value):
            found[words] = float(part) if isinstance(part, int | float | np.number) else part
    return found


def _spread(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray | Tensor):
        value = value.tolist()
    if isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _spread(f"{name} {number}", part)
    else:
        yield name, value

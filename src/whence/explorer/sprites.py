"""Thumbnails: sheets of 16 by 16 pictures as PNG, made when they are first asked for."""

from __future__ import annotations

import hashlib
import io
import mmap
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from whence.explorer.reader import Reader
from whence.explorer.refused import Refused
from whence.explorer.sides import Side

COLUMNS = 16
TILES = COLUMNS * COLUMNS
KEPT = 32_000_000
"""Bytes of sheets that are kept."""


@dataclass(frozen=True)
class Sheet:
    """One sheet as PNG; ``tag``: a digest of it."""

    png: bytes
    tag: str


class Sprites:
    """The sheets of a run, of which those looked at last are kept."""

    def __init__(self, reader: Reader, kept: int = KEPT) -> None:
        self._reader = reader
        self._most = kept
        self._sheets: OrderedDict[tuple[str, int], Sheet] = OrderedDict()
        self._lock = threading.Lock()

    def sheet(self, name: str, number: int) -> Sheet:
        """Sheet ``number`` of a side: tile t of it is the example at position 256 * number + t. Raises Refused."""
        with self._lock:
            found = self._sheets.get((name, number))
            if found is None:
                png = drawn(self._reader, self._reader.side(name), number)
                found = Sheet(png, hashlib.sha256(png).hexdigest()[:32])
                self._sheets[name, number] = found
            self._sheets.move_to_end((name, number))
            while sum(len(sheet.png) for sheet in self._sheets.values()) > self._most and len(self._sheets) > 1:
                self._sheets.popitem(last=False)
            return found


def drawn(reader: Reader, side: Side, number: int, only: frozenset[int] | None = None) -> bytes:
    """A sheet as PNG; with ``only`` the pictures at these positions, the other tiles black. Raises Refused."""
    pictures, tile = side.exhibit.pictures(side.name), reader.tile
    if pictures is None or tile is None:
        raise Refused(f"the {side.name} of this run have no pictures", 404)
    count = sheets(side)
    if not 0 <= number < count:
        raise Refused(f"sheet must be a whole number from 0 to {count - 1}, not {number}", 404)
    first, last = number * TILES, min((number + 1) * TILES, len(side))
    canvas = np.zeros((COLUMNS * tile[0], COLUMNS * tile[1], *pictures.shape[3:]), dtype=np.uint8)
    for position in range(first, last):
        if only is None or position in only:
            row, column = divmod(position - first, COLUMNS)
            picture = pictures[side.place(position)]
            top, left = row * tile[0], column * tile[1]
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    _let_go(pictures)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, format="PNG", compress_level=6)
    return out.getvalue()


def sheets(side: Side) -> int:
    """How many sheets a side has."""
    return -(-len(side) // TILES)


def _let_go(array: npt.NDArray[Any]) -> None:
    """Gives back the memory of a mapped file, which is read again when it is next needed."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)

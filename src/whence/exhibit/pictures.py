"""Pictures in bytes, of one size, small enough for a sheet of thumbnails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LONGEST = 96
"""The longest side of a picture that is kept, in pixels; a larger one is made smaller."""
Bytes = npt.NDArray[np.uint8]


class PictureError(ValueError):
    """Values that are no picture."""


@dataclass(frozen=True)
class Look:
    """How pictures become bytes: values from ``low`` to ``high`` become 0 to 255, on ``height`` × ``width`` pixels."""

    low: float
    high: float
    height: int
    width: int
    colour: bool
    reduced: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height, self.width, 3) if self.colour else (self.height, self.width)


def look_of(pictures: Iterable[Any]) -> Look:
    """The look that some pictures share: their range of values, their largest size, colour if any has it.

    Bytes are taken as they are. Raises PictureError if there is no picture or one is no picture.
    """
    ranges, sizes, colour = [], [], False
    for picture in map(plain, pictures):
        finite = picture[np.isfinite(picture)] if picture.dtype != np.uint8 else np.array([0, 255])
        ranges += [(float(finite.min()), float(finite.max()))] if finite.size else []
        sizes.append(_size(picture))
        colour = colour or picture.ndim == 3
    if not sizes:
        raise PictureError("there is no picture")
    low, high = (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else (0.0, 0.0)
    height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
    reduced = any(size[2] for size in sizes)
    return Look(low, high, height, width, colour, reduced)


def plain(picture: Any) -> npt.NDArray[Any]:
    """A picture as [height, width] or [height, width, 3]; raises PictureError if it is none."""
    values = np.asarray(picture)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[2] == 4:
        values = values[:, :, :3]  # opaque
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    sound = values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)
    if not sound or values.size == 0 or values.dtype.kind not in "iuf":
        raise PictureError(
            f"a picture has shape {values.shape} and type {values.dtype}: give [height, width] or [height, width, 3]"
        )
    return values


def in_bytes(picture: Any, look: Look) -> Bytes:
    """One picture in the given look, in the middle of black where its shape is another."""
    values = plain(picture)
    if values.dtype != np.uint8:
        span = look.high - look.low if look.high > look.low else 1.0
        scaled = (np.nan_to_num(values.astype(np.float64), nan=look.low) - look.low) * (255 / span)
        values = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    if values.ndim == 3 and not look.colour:
        values = np.rint(values.mean(2)).astype(np.uint8)
    if values.ndim == 2 and look.colour:
        values = np.repeat(values[:, :, None], 3, axis=2)
    if values.shape == look.shape:
        return values
    values = _resized(values, look)
    found = np.zeros(look.shape, dtype=np.uint8)
    top, left = (look.height - values.shape[0]) // 2, (look.width - values.shape[1]) // 2
    found[top : top + values.shape[0], left : left + values.shape[1]] = values
    return found


def batch_in_bytes(pictures: npt.NDArray[Any], look: Look) -> Bytes:
    """Pictures [n, height, width] or [n, height, width, 3] at once where none has to change its size."""
    if pictures.shape[1:] != look.shape:
        return np.stack([in_bytes(picture, look) for picture in pictures])
    if pictures.dtype == np.bool_:
        pictures = pictures.astype(np.uint8) * np.uint8(255)
    if pictures.dtype == np.uint8:
        return pictures
    span = look.high - look.low if look.high > look.low else 1.0
    return np.rint(np.clip((pictures.astype(np.float64) - look.low) * (255 / span), 0, 255)).astype(np.uint8)


def _size(picture: npt.NDArray[Any]) -> tuple[int, int, bool]:
    """Height and width once it fits, and whether it was larger."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    if longest <= LONGEST:
        return height, width, False
    return max(1, round(height * LONGEST / longest)), max(1, round(width * LONGEST / longest)), True


def _resized(values: Bytes, look: Look) -> Bytes:
    """Made smaller until it fits the look; never larger."""
    from PIL import Image

    height, width = values.shape[:2]
    factor = min(1.0, look.height / height, look.width / width)
    if factor == 1.0:
        return values
    size = (min(look.width, max(1, round(width * factor))), min(look.height, max(1, round(height * factor))))
    return np.asarray(Image.fromarray(np.ascontiguousarray(values)).resize(size, Image.Resampling.LANCZOS))

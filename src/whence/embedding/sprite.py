"""Many small pictures on one sheet: what TensorBoard's projector draws at the points, and pages show as thumbnails."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whence import files

LARGEST = 8192
"""The largest texture that browsers can be relied on to hold, and TensorBoard's own limit."""
SMALLEST_PICTURE = 4


def _in_bytes(pictures: Any, count: int) -> npt.NDArray[np.uint8]:
    """Pictures [n, side, side] or [n, side, side, 3] in bytes, padded to squares with black."""
    values = np.asarray(pictures)
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] != 3) or 0 in values.shape:
        raise ValueError(f"pictures have shape {values.shape}: give [n, height, width] or [n, height, width, 3].")
    if len(values) != count:
        raise ValueError(f"{len(values)} pictures for {count} rows of metadata: give one picture a row.")
    if values.dtype != np.uint8:
        values = values.astype(np.float64)
        low, high = values.min(), values.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("a picture holds values that are not finite: replace them, by 0 for example.")
        values = np.rint((values - low) * (255 / (high - low if high > low else 1.0))).astype(np.uint8)
    height, width = values.shape[1:3]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = [(0, 0), (top, side - height - top), (left, side - width - left), (0, 0)][: values.ndim]
    return np.pad(values, around)


def sheet_of(pictures: Any, count: int) -> tuple[npt.NDArray[np.uint8], int, bool]:
    """The sheet, the side of a picture in it, and whether ``count`` pictures were made smaller to fit.

    Raises ValueError for other shapes or another count, values that are not finite, or more pictures than fit a sheet.
    """
    pictures = _in_bytes(pictures, count)
    across, own = math.isqrt(len(pictures) - 1) + 1, pictures.shape[1]
    side = min(own, LARGEST // across)
    if side < min(own, SMALLEST_PICTURE):
        raise ValueError(
            f"{len(pictures)} pictures do not fit a sheet of {LARGEST} pixels at {SMALLEST_PICTURE} pixels each: "
            "export fewer examples, or none of the pictures."
        )
    if side < own:
        warnings.warn(
            f"{len(pictures)} pictures of {own} pixels do not fit a sheet of {LARGEST}: made smaller, {side} pixels.",
            stacklevel=3,
        )
    sheet = np.zeros((across * side, across * side, *pictures.shape[3:]), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = _resized(picture, side)
    return sheet, side, side < own


def _resized(picture: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    from PIL import Image

    if len(picture) == side:
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))


def write_sheet(path: Path, sheet: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    files.write(path, lambda file: Image.fromarray(sheet).save(file, format="PNG"))

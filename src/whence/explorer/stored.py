"""Rows and sums of stored matrices. A file is mapped for each look and let go: memory does not grow with use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whence import files

Floats = npt.NDArray[np.float64]
AT_ONCE = 16_000_000
"""Bytes of a file that are in memory at one time, beside what is returned."""


def row(path: Path, index: int) -> Floats:
    """Row ``index`` of a matrix. Raises FileError if the file is gone or broken."""
    matrix = files.read_array(path)
    if matrix.flags.c_contiguous:
        return np.array(matrix[index], dtype=np.float64)
    # Written column by column: all of the file has to be passed over.
    out = np.empty(matrix.shape[1])
    for part in parts(path, axis=1):
        out[part] = files.read_array(path)[index, part]
    return out


def sums(path: Path, columns: npt.NDArray[np.int64]) -> Floats:
    """The sum over some columns, for every row of a matrix. Raises FileError."""
    matrix = files.read_array(path)
    out = np.zeros(len(matrix))
    if matrix.flags.c_contiguous:
        for part in parts(path, axis=0):
            out[part] = files.read_array(path)[part][:, columns].sum(axis=1, dtype=np.float64)
        return out
    # Piece by piece along the file: a look here and a look there would bring in far more than what is looked at.
    for part in parts(path, axis=1):
        inside = columns[(columns >= part.start) & (columns < part.stop)]
        if len(inside):
            out += files.read_array(path)[:, inside].sum(axis=1, dtype=np.float64)
    return out


def single(path: Path) -> npt.NDArray[np.int64] | None:
    """Which column each row of a boolean matrix marks; None if any row marks none or several."""
    marked = np.empty(len(files.read_array(path)), dtype=np.int64)
    for part in parts(path, axis=0):
        block = files.read_array(path)[part]
        if (block.sum(axis=1) != 1).any():
            return None
        marked[part] = block.argmax(axis=1)
    return marked


def parts(path: Path, axis: int) -> Iterator[slice]:
    """Slices along an axis that hold about ``AT_ONCE`` bytes each."""
    matrix: npt.NDArray[Any] = files.read_array(path)
    count = matrix.shape[axis]
    step = max(1, AT_ONCE * count // max(1, matrix.nbytes))
    del matrix
    for begin in range(0, count, step):
        yield slice(begin, min(begin + step, count))

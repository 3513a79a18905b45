"""Reader of IDX files, the format in which MNIST is published.

An IDX file is two zero bytes, one byte for the number type, one for the number of dimensions, the dimensions
as big-endian 32-bit integers, then the numbers in C order (Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST
database of handwritten digits", 1998, section "The IDX file format").
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whence.datasets.errors import DataError

__all__ = ["parse_idx", "read_bytes", "read_idx", "unpack"]

NUMBER_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST_FILE = 2**30  # bytes after decompression: a small hostile .gz must not fill the memory


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file as they lie on disk.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the folder and its permissions") from error


def unpack(raw: bytes, name: str) -> bytes:
    """The contents of a file: gunzipped when its name ends in ``.gz``, else unchanged.

    Raises:
        DataError: the gzip stream is damaged, cut short, or unpacks to more than 1 GiB.
    """
    if not name.endswith(".gz"):
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            contents = stream.read(LARGEST_FILE + 1)
    except EOFError as error:
        raise DataError(f"{name}: gzip stream is cut short after {len(raw)} bytes; copy the file again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{name}: corrupt gzip file ({error}); copy it again, or drop the .gz if it is not compressed"
        ) from error
    if len(contents) > LARGEST_FILE:
        raise DataError(f"{name}: unpacks to more than {LARGEST_FILE} bytes; this is not an MNIST-like file")
    return contents


def parse_idx(contents: bytes, name: str, dimensions: int | None = None) -> npt.NDArray[Any]:
    """The array in the contents of an IDX file.

    Args:
        contents: the uncompressed file.
        name: the file's name, for messages.
        dimensions: how many dimensions the array must have; None accepts any number.

    Returns:
        A read-only array in native byte order, shaped as the header says.

    Raises:
        DataError: wrong magic number, unknown number type, other dimensions than asked, or fewer or more bytes
            than the header promises.
    """
    if len(contents) < 4:
        raise DataError(f"{name}: truncated, {len(contents)} bytes hold no IDX header; copy the file again")
    if contents[:2] != b"\0\0":
        raise DataError(
            f"{name}: wrong magic number 0x{contents[:4].hex()}, IDX files begin with 0x0000; "
            "is it still compressed, or another file under this name?"
        )
    code, count = contents[2], contents[3]
    if code not in NUMBER_TYPES:
        known = ", ".join(f"0x{known:02x}" for known in NUMBER_TYPES)
        raise DataError(f"{name}: wrong number type 0x{code:02x}, IDX knows {known}; copy the file again")
    if dimensions is not None and count != dimensions:
        raise DataError(
            f"{name}: wrong magic number 0x{contents[:4].hex()}: {count} dimensions where {dimensions} are "
            "expected (images have 3, labels 1); are images and labels swapped?"
        )
    start = 4 + 4 * count
    if len(contents) < start:
        raise DataError(f"{name}: truncated in its header, {len(contents)} of {start} bytes; copy the file again")
    shape = struct.unpack(f">{count}I", contents[4:start])
    kind = np.dtype(NUMBER_TYPES[code])
    promised = start + math.prod(shape) * kind.itemsize
    if len(contents) != promised:
        fault = "truncated" if len(contents) < promised else "too long"
        raise DataError(
            f"{name}: {fault}, the header promises {promised} bytes for {shape} but there are {len(contents)}; "
            "copy the file again"
        )
    array = np.frombuffer(contents, kind, offset=start).reshape(shape)
    return array.astype(kind.newbyteorder("="), copy=False)


def read_idx(path: str | os.PathLike[str], dimensions: int | None = None) -> npt.NDArray[Any]:
    """The array in an IDX file, plain or gzipped (by its ``.gz``).

    Args:
        path: the file.
        dimensions: how many dimensions the array must have; None accepts any number.

    Raises:
        DataError: whatever :func:`read_bytes`, :func:`unpack` or :func:`parse_idx` finds.
    """
    return parse_idx(unpack(read_bytes(path), str(path)), str(path), dimensions)

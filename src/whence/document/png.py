"""Is it a whole PNG file, and how large is it meant to be shown?"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 50_000_000
CSS_PIXELS_A_METRE = 96 / 0.0254


class PngError(ValueError):
    """Bytes that are no PNG file, or not a whole one."""


@dataclass(frozen=True)
class Image:
    """The bytes of a PNG, and its width and height on a page in CSS pixels."""

    data: bytes
    size: tuple[int, int]


def parse(data: bytes) -> Image:
    """Check a PNG chunk by chunk; what follows its end is dropped.

    Raises PngError if it is none, is truncated or altered, or would fill a browser's memory.
    """
    if not data.startswith(SIGNATURE):
        raise PngError("it is no PNG file")
    size, scale, pixels = None, (1.0, 1.0), False
    for kind, body, end in _chunks(data):
        if size is None:
            size = _size(kind, body)
        pixels |= kind == b"IDAT"
        if kind == b"pHYs" and len(body) == 9:
            scale = _scale(body)
        if kind == b"IEND" and pixels:
            width, height = (max(1, round(length * factor)) for length, factor in zip(size, scale, strict=True))
            return Image(data[:end], (width, height))
    raise PngError("it is no whole PNG file: its end is missing")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind and content of each chunk, and where it ends."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        end = start + 12 + length
        if end > len(data):
            return
        kind, body = data[start + 4 : start + 8], data[start + 8 : end - 4]
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(kind + body) != checksum:
            raise PngError("it is damaged: a checksum does not fit")
        yield kind, body, end
        start = end


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind != b"IHDR" or len(body) != 13:
        raise PngError("it is no PNG file: it does not begin with a size")
    width, height = struct.unpack_from(">II", body)
    if not 0 < width * height <= MOST_PIXELS:
        raise PngError(f"it has {width} x {height} pixels, at most {MOST_PIXELS:,} are shown")
    return width, height


def _scale(body: bytes) -> tuple[float, float]:
    """CSS pixels a pixel, as the stated dots a metre ask for; 1 where none or absurd ones are stated."""
    across, down, unit = struct.unpack(">IIB", body)
    if unit != 1 or across != down or not 1000 <= across <= 100_000:
        return 1.0, 1.0
    return CSS_PIXELS_A_METRE / across, CSS_PIXELS_A_METRE / down

"""The IDX reader: what it reads, and that each kind of damage is named."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from whence.datasets import DataError, read_idx
from whence.datasets import idx as idx_module

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(idx_bytes(IMAGES)) if suffix else idx_bytes(IMAGES))
    array = read_idx(path, dimensions=3)
    assert array.dtype == np.uint8
    assert np.array_equal(array, IMAGES)


def test_big_endian_numbers_come_out_native(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    values = np.array([1, -2, 70_000], dtype=">i4")
    path.write_bytes(idx_bytes(values, code=0x0C))
    array = read_idx(path)
    assert array.dtype == np.dtype("int32")
    assert array.dtype.isnative
    assert array.tolist() == [1, -2, 70_000]


GOOD = idx_bytes(IMAGES)
DAMAGED = {
    "cut": (GOOD[:-5], "truncated, the header promises 40 bytes"),
    "one byte short": (GOOD[:-1], "truncated"),
    "too long": (GOOD + b"x", "too long"),
    "no header": (GOOD[:3], "truncated"),
    "half a header": (GOOD[:9], "truncated in its header"),
    "empty": (b"", "truncated"),
    "magic": (b"\x01" + GOOD[1:], "wrong magic number 0x01000803"),
    "still gzipped": (gzip.compress(GOOD), "wrong magic number 0x1f8b"),
    "number type": (b"\0\0\x0a" + GOOD[3:], "wrong number type 0x0a"),
    "dimensions": (idx_bytes(IMAGES.ravel()), "1 dimensions where 3"),
    "huge promise": (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "truncated"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(tmp_path: Path, case: str) -> None:
    contents, message = DAMAGED[case]
    path = tmp_path / "images"
    path.write_bytes(contents)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, dimensions=3)
    assert str(path) in str(caught.value)


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


PACKED = gzip.compress(GOOD)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (PACKED[:-12], "cut short"),
        (_flip(PACKED, 0), "corrupt gzip"),
        (_flip(PACKED, 12), "corrupt gzip"),
        (_flip(PACKED, len(PACKED) - 7), "corrupt gzip"),
        (GOOD, "corrupt gzip"),
    ],
    ids=["cut", "gzip magic", "stream", "checksum", "not compressed"],
)
def test_damaged_gzip_is_named(tmp_path: Path, contents: bytes, message: str) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(contents)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_module, "LARGEST_FILE", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(DataError, match="more than 1000 bytes"):
        read_idx(path)

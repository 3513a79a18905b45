"""MNIST: hand-made folders for the faults, the real one (where WHENCE_MNIST points) for the facts."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from whence.datasets import DataError, koh_liang_subset, mnist, verify

STEMS = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("WHENCE_MNIST")
    if not folder:
        pytest.skip("WHENCE_MNIST is unset: set it to a folder with MNIST's four IDX files")
    return Path(folder)


def write(path: Path, array: np.ndarray) -> None:
    data = bytes([0, 0, 0x08, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    images = np.zeros((3, 28, 28), np.uint8)
    images[1, 5, 6], images[2, 0, 0] = 255, 51
    for stem in STEMS:
        array = images if "images" in stem else np.array([4, 0, 9], np.uint8)
        write(tmp_path / f"{stem}.gz", array)
    return tmp_path


def test_unverified_folder_is_read(tiny: Path) -> None:
    data = mnist(tiny, "train", verify=False)
    batch = data.take(slice(None))
    assert batch.inputs.shape == (3, 1, 28, 28)
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs[1, 0, 5, 6] == 1
    assert batch.inputs[2, 0, 0, 0] == pytest.approx(0.2)
    assert batch.inputs.sum() == pytest.approx(1.2)
    assert batch.targets.dtype == torch.int64
    assert batch.targets.tolist() == [4, 0, 9]
    assert data.ids.tolist() == [0, 1, 2]


def test_other_contents_are_refused(tiny: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: contents are not MNIST's"):
        mnist(tiny, "train")
    assert [check.status for check in verify(tiny)] == ["mismatch"] * 4


def test_sha256sums_is_heard(tiny: Path) -> None:
    sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tiny.glob("*.gz")}
    sums["t10k-labels-idx1-ubyte.gz"] = "0" * 64
    del sums["train-labels-idx1-ubyte.gz"]
    (tiny / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    checks = {check.name: check for check in verify(tiny)}
    assert checks["t10k-labels-idx1-ubyte.gz"].status == "mismatch"
    assert "SHA256SUMS" in checks["t10k-labels-idx1-ubyte.gz"].remedy
    assert checks["train-labels-idx1-ubyte.gz"].status == "unlisted"
    assert checks["t10k-images-idx3-ubyte.gz"].sha256 == sums["t10k-images-idx3-ubyte.gz"]
    (tiny / "SHA256SUMS").write_text("not a checksum\n")
    with pytest.raises(DataError, match="cannot read the line"):
        verify(tiny)


def test_missing_and_corrupt(tiny: Path) -> None:
    (tiny / f"{STEMS[0]}.gz").unlink()
    (tiny / f"{STEMS[2]}.gz").write_bytes(b"\x1f\x8b rubbish")
    assert [check.status for check in verify(tiny)] == ["missing", "mismatch", "corrupt", "mismatch"]
    with pytest.raises(DataError, match=f"neither {STEMS[0]}.gz nor {STEMS[0]} is there"):
        mnist(tiny, "train", verify=False)
    with pytest.raises(DataError, match="corrupt gzip"):
        mnist(tiny, "test", verify=False)


@pytest.mark.parametrize(
    ("stem", "array", "message"),
    [
        (STEMS[1], np.zeros(2, np.uint8), "3 train images but 2 labels"),
        (STEMS[1], np.array([1, 2, 10], np.uint8), "labels up to 10"),
        (STEMS[0], np.zeros((3, 8, 8), np.uint8), r"images are \(8, 8\)"),
        (STEMS[0], np.zeros(3, np.uint8), "1 dimensions where 3"),
    ],
)
def test_files_that_do_not_fit(tiny: Path, stem: str, array: np.ndarray, message: str) -> None:
    write(tiny / f"{stem}.gz", array)
    with pytest.raises(DataError, match=message):
        mnist(tiny, "train", verify=False)


def test_no_such_part_and_no_subset_of_too_few(tiny: Path) -> None:
    with pytest.raises(ValueError, match="'train' or 'test'"):
        mnist(tiny, "validation")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="3 training images"):
        koh_liang_subset(tiny, verify=False)


def test_real_folder_verifies(real: Path) -> None:
    checks = verify(real)
    assert [check.status for check in checks] == ["ok"] * 4
    assert [check.name.removesuffix(".gz") for check in checks] == STEMS
    assert all(check.bytes == (real / check.name).stat().st_size for check in checks)


def test_plain_files_equal_gzipped_ones(real: Path, tmp_path: Path) -> None:
    for stem in STEMS[2:]:
        packed = real / f"{stem}.gz"
        contents = gzip.decompress(packed.read_bytes()) if packed.exists() else (real / stem).read_bytes()
        (tmp_path / stem).write_bytes(contents)
    plain = mnist(tmp_path, "test")
    assert torch.equal(plain.take(slice(None)).inputs, mnist(real, "test").take(slice(None)).inputs)
    (tmp_path / STEMS[3]).write_bytes(contents[:-1] + b"\x07")
    with pytest.raises(DataError, match="not MNIST's"):
        mnist(tmp_path, "test")


def test_real_images_and_labels(real: Path) -> None:
    test = mnist(real, "test")
    assert len(test) == 10_000
    batch = test.take(slice(None))
    assert batch.targets[6558] == 6
    assert batch.targets[8] == 5
    assert test.ids[6558] == 6558
    assert np.bincount(batch.targets.numpy()).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (float(batch.inputs.min()), float(batch.inputs.max())) == (0, 1)


def test_koh_liang_subset(real: Path) -> None:
    train, test = koh_liang_subset(real)
    assert (len(train), len(test)) == (5_500, 10_000)
    np_state = np.random.RandomState(0)
    expected = np.arange(55_000)
    np_state.shuffle(expected)
    assert np.array_equal(train.ids, 5_000 + expected[:5_500])
    assert train.ids.min() >= 5_000
    full = mnist(real, "train")
    assert len(full) == 60_000
    same, own = full.select(train.ids).take(slice(None)), train.take(slice(None))
    assert torch.equal(same.inputs, own.inputs)
    assert torch.equal(same.targets, own.targets)
    assert train.classes == tuple("0123456789")


def test_koh_liang_subset_does_not_move_the_global_generator(real: Path) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    koh_liang_subset(real)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002

"""MNIST from a folder of IDX files, and the part of it on which Koh and Liang (2017) retrained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whence.datasets.errors import DataError
from whence.datasets.idx import parse_idx, read_bytes, unpack
from whence.examples import Examples, as_examples

__all__ = ["FileCheck", "koh_liang_subset", "mnist", "verify"]

# Of the uncompressed files: the same MNIST is in circulation under several gzip compressions.
CONTENT_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PREFIX = {"train": "train", "test": "t10k"}
CLASSES = tuple(str(digit) for digit in range(10))
Status = Literal["ok", "missing", "corrupt", "mismatch", "unlisted"]


@dataclass(frozen=True)
class FileCheck:
    """What :func:`verify` found out about one file.

    Attributes:
        name: the file in the folder (the plain name when it is missing).
        bytes: its size on disk, 0 when missing.
        sha256: of the file as it lies on disk, comparable with ``sha256sum``; empty when missing.
        status: ``ok``, ``missing``, ``corrupt`` (gzip damage), ``mismatch`` (other contents than MNIST, or not
            what the folder's ``SHA256SUMS`` says) or ``unlisted`` (``SHA256SUMS`` leaves it out).
        remedy: what is wrong and what to do about it; empty when ok.
    """

    name: str
    bytes: int
    sha256: str
    status: Status
    remedy: str = ""


def verify(root: str | os.PathLike[str]) -> list[FileCheck]:
    """Compare the four MNIST files of a folder with their known SHA-256 and with its ``SHA256SUMS``, if any.

    The known checksums are of the uncompressed contents and so hold for every compression of them.

    Returns:
        One result a file: training images and labels, then test images and labels. Damage is a status here,
        not an exception.

    Raises:
        DataError: a ``SHA256SUMS`` lies there but cannot be understood.
    """
    listed = _listed(Path(root))
    return [_inspect(Path(root), stem, listed)[0] for stem in CONTENT_SHA256]


def mnist(root: str | os.PathLike[str], part: Literal["train", "test"], verify: bool = True) -> Examples:
    """All 60,000 training or 10,000 test images of MNIST.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to Document
    Recognition", Proceedings of the IEEE, 1998.

    Args:
        root: folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
            and ``t10k-labels-idx1-ubyte``, each plain or with ``.gz`` (which is preferred when both are there).
        part: ``"train"`` or ``"test"`` (the t10k files).
        verify: refuse files whose checksums are not those of MNIST; False reads look-alikes such as
            Fashion-MNIST.

    Returns:
        inputs float32 ``[n, 1, 28, 28]`` in 0 .. 1 (pixel / 255), targets int64 ``[n]``, ids the row in the file.

    Raises:
        ValueError: no such part.
        DataError: a file is missing, damaged, not MNIST, or images and labels do not belong together.
    """
    images, labels = _read(Path(root), part, verify)
    return _examples(images, labels, np.arange(len(labels)))


def koh_liang_subset(root: str | os.PathLike[str], verify: bool = True) -> tuple[Examples, Examples]:
    """The 5,500 training images of Koh and Liang's all-CNN, and all 10,000 test images.

    The first 5,000 of the 60,000 images are set apart for validation; the positions of the other 55,000 are
    shuffled with NumPy's legacy generator, seed 0, and the first tenth is kept. Source: P. W. Koh and P. Liang,
    "Understanding Black-box Predictions via Influence Functions", ICML 2017, section 4.2 and the function
    ``load_small_mnist`` of their published code.

    Args:
        root: as for :func:`mnist`.
        verify: as for :func:`mnist`.

    Returns:
        Train (5,500) and test (10,000). Position in train is the index that their code reports; the id is the row
        in the 60,000 images of the raw file.

    Raises:
        DataError: as :func:`mnist`, or the training file has not 60,000 images.
    """
    images, labels = _read(Path(root), "train", verify)
    if len(labels) != 60_000:
        raise DataError(f"{root}: {len(labels)} training images, the subset is drawn from 60,000; use MNIST itself")
    positions = np.arange(55_000)
    np.random.RandomState(0).shuffle(positions)  # the legacy generator is part of the recipe
    rows = 5_000 + positions[:5_500]
    return _examples(images[rows], labels[rows], rows), mnist(root, "test", verify)


def _read(root: Path, part: str, verified: bool) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if part not in PREFIX:
        raise ValueError(f"MNIST has no part {part!r}; choose 'train' or 'test'")
    listed = _listed(root) if verified else None
    arrays = []
    for stem, dimensions in (f"{PREFIX[part]}-images-idx3-ubyte", 3), (f"{PREFIX[part]}-labels-idx1-ubyte", 1):
        check, contents = _inspect(root, stem, listed)
        if check.status in ("missing", "corrupt") or (verified and check.status != "ok"):
            raise DataError(check.remedy)
        arrays.append(parse_idx(contents, str(root / check.name), dimensions))
        if arrays[-1].dtype != np.uint8:
            raise DataError(f"{root / check.name}: holds {arrays[-1].dtype}, not unsigned bytes; use MNIST's files")
    images, labels = arrays
    if len(images) != len(labels):
        raise DataError(f"{root}: {len(images)} {part} images but {len(labels)} labels; take both from one release")
    if images.shape[1:] != (28, 28) or (labels > 9).any():
        raise DataError(
            f"{root}: {part} images are {images.shape[1:]}, labels up to {labels.max(initial=0)}; MNIST has 28x28 "
            "images and labels 0 .. 9: read other data with read_idx"
        )
    return images, labels


def _examples(images: npt.NDArray[Any], labels: npt.NDArray[Any], ids: npt.NDArray[Any]) -> Examples:
    pixels = images[:, None].astype(np.float32)
    pixels /= 255
    return as_examples((pixels, labels.astype(np.int64)), ids=ids, classes=CLASSES)


def _inspect(root: Path, stem: str, listed: Mapping[str, str] | None) -> tuple[FileCheck, bytes]:
    path = next((p for p in (root / f"{stem}.gz", root / stem) if p.is_file()), None)
    if path is None:
        remedy = f"{root}: neither {stem}.gz nor {stem} is there; put MNIST's IDX files in this folder"
        return FileCheck(stem, 0, "", "missing", remedy), b""
    raw = read_bytes(path)
    digest = sha256(raw).hexdigest()

    def found(status: Status, remedy: str = "") -> FileCheck:
        return FileCheck(path.name, len(raw), digest, status, remedy)

    try:
        contents = unpack(raw, str(path))
    except DataError as error:
        return found("corrupt", str(error)), b""
    if listed is not None and path.name not in listed:
        return found(
            "unlisted", f"{path}: missing from SHA256SUMS beside it; add its line or remove SHA256SUMS"
        ), contents
    if listed is not None and listed[path.name] != digest:
        return found("mismatch", f"{path}: SHA-256 is not the one in SHA256SUMS; copy the file again"), contents
    if sha256(contents).hexdigest() != CONTENT_SHA256[stem]:
        return found(
            "mismatch", f"{path}: contents are not MNIST's (SHA-256 differs); copy it again, or verify=False"
        ), contents
    return found("ok"), contents


def _listed(root: Path) -> dict[str, str] | None:
    path = root / "SHA256SUMS"
    if not path.is_file():
        return None
    entries = {}
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition(" ")
        if len(digest) != 64 or not name.strip():
            raise DataError(f"{path}: cannot read the line {line!r}; write the file with sha256sum")
        entries[name.strip().removeprefix("*")] = digest.lower()
    return entries

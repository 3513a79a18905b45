"""``whence data verify``: one line a file, and an exit code that a script can use."""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path

import pytest

mnist = importlib.import_module("whence.datasets.mnist")  # the package has a function of that name
STEMS = list(mnist.CONTENT_SHA256)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four files that hold what is expected of them."""
    for stem in STEMS:
        (tmp_path / stem).write_bytes(stem.encode())
    sums = {stem: hashlib.sha256(stem.encode()).hexdigest() for stem in STEMS}
    monkeypatch.setattr(mnist, "CONTENT_SHA256", sums)
    return tmp_path


def test_all_is_well(whence, folder: Path) -> None:
    answer = whence("data", "verify", folder)
    assert (answer.code, answer.err) == (0, "")
    assert [line.split()[0] for line in answer.out.splitlines()] == ["ok"] * 4
    assert [line.split()[-1] for line in answer.out.splitlines()] == STEMS


def test_one_file_is_not(whence, folder: Path) -> None:
    (folder / STEMS[0]).write_bytes(b"other")
    (folder / STEMS[2]).unlink()
    (folder / f"{STEMS[3]}.gz").write_bytes(b"\x1f\x8bno")
    answer = whence("data", "verify", folder)
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["mismatch", "ok", "missing", "corrupt"]
    assert any("put MNIST's IDX files in this folder" in line for line in lines)


def test_a_folder_that_is_not_there(whence, tmp_path: Path) -> None:
    answer = whence("data", "verify", tmp_path / "nowhere")
    assert (answer.code, answer.out) == (1, "")
    assert "is no folder; name the one that holds MNIST's IDX files" in answer.err


def test_the_real_files(whence) -> None:
    if not os.environ.get("WHENCE_MNIST"):
        pytest.skip("WHENCE_MNIST is unset: set it to a folder with MNIST's four IDX files")
    assert whence("data", "verify", os.environ["WHENCE_MNIST"]).code == 0

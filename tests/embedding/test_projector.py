"""The projector's files as TensorBoard reads them: the configuration, tables, labels and pictures, hostile ones too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from whence import files
from whence.embedding import sprite
from whence.embedding.projector import export_projector

RNG = np.random.default_rng(0)
COUNT = 11
EMBEDDINGS = {"logits": RNG.normal(size=(COUNT, 3)).astype(np.float32), "h3.conv": RNG.random((COUNT, 5)) * 1e-7}
METADATA = pd.DataFrame(
    {"id": np.arange(100, 100 + COUNT), "name": [f"digit {k}" for k in range(COUNT)], "loss": RNG.random(COUNT)}
)
PICTURES = RNG.integers(0, 256, (COUNT, 6, 6), dtype=np.uint8)


def parsed(folder: Path) -> list[dict[str, Any]]:
    """The embeddings of the configuration, each field a list of its values."""
    text = (folder / "projector_config.pbtxt").read_text()
    found: list[dict[str, Any]] = []
    stack: list[dict[str, Any]] = []
    for line in text.splitlines():
        if opened := re.fullmatch(r" *(\w+) \{", line):
            inner: dict[str, Any] = {}
            stack[-1].update({opened[1]: inner}) if stack else found.append(inner)
            stack.append(inner)
        elif line.strip() == "}":
            stack.pop()
        else:
            field = re.fullmatch(r' *(\w+): (?:"([^"\\]*)"|(\d+))', line)
            assert field, line
            stack[-1].setdefault(field[1], []).append(field[2] if field[3] is None else int(field[3]))
    assert not stack
    return found


def rows_of(folder: Path) -> list[list[str]]:
    text = (folder / "metadata.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def test_the_configuration_names_files_that_are_there_with_their_shapes(tmp_path: Path) -> None:
    found = export_projector(tmp_path / "new" / "folder", EMBEDDINGS, METADATA, PICTURES)
    assert found.folder == tmp_path / "new" / "folder"
    assert found.tensors == {"logits": "logits", "h3.conv": "h3.conv"}
    listed = parsed(found.folder)
    assert [entry["tensor_name"] for entry in listed] == [["logits"], ["h3.conv"]]
    for entry, rows in zip(listed, EMBEDDINGS.values(), strict=True):
        assert entry["tensor_shape"] == list(rows.shape)
        assert entry["metadata_path"] == ["metadata.tsv"]
        assert entry["sprite"] == {"image_path": ["sprite.png"], "single_image_dim": [6, 6]}
        read = np.loadtxt(found.folder / entry["tensor_path"][0], delimiter="\t", dtype=np.float32)
        np.testing.assert_array_equal(read, rows.astype(np.float32))
    names = {"logits.tsv", "h3.conv.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"}
    assert {path.name for path in found.folder.iterdir()} == names


def test_metadata_has_a_header_and_a_row_each(tmp_path: Path) -> None:
    export_projector(tmp_path, EMBEDDINGS, METADATA)
    header, *rows = rows_of(tmp_path)
    assert header == ["id", "name", "loss"]
    assert len(rows) == COUNT
    assert rows[2] == ["102", "digit 2", f"{METADATA['loss'][2]:.7g}"]
    assert not any("sprite" in entry for entry in parsed(tmp_path))


def test_one_column_has_no_header(tmp_path: Path) -> None:
    export_projector(tmp_path, EMBEDDINGS, METADATA[["id"]])
    assert rows_of(tmp_path) == [[str(k)] for k in METADATA["id"]]


def test_no_label_breaks_its_row(tmp_path: Path) -> None:
    hostile = ["a\tb", "c\nd", "\r\n", "", "   ", "=1+1", "\x1b[31m", "\u2028", "\ud800", None, "é\x00"]
    metadata = pd.DataFrame({"na\tme": hostile, "loss": [np.nan, np.inf, *range(9)]})
    export_projector(tmp_path, EMBEDDINGS, metadata)
    header, *rows = rows_of(tmp_path)
    assert header == [r"na\tme", "loss"]
    assert [len(row) for row in rows] == [2] * COUNT
    found = [row[0] for row in rows]
    assert found[:7] == [r"a\tb", r"c\nd", r"\r\n", "-", "-", "'=1+1", r"\x1b[31m"]
    assert found[7:] == [r"\u2028", r"\ud800", "-", r"é\x00"]
    assert [row[1] for row in rows][:3] == ["-", "inf", "0"]
    export_projector(tmp_path, EMBEDDINGS, metadata[["na\tme"]])
    assert [row[0] for row in rows_of(tmp_path)] == found


def test_layers_cannot_leave_the_folder_or_meet_one_another(tmp_path: Path) -> None:
    hostile = ["../../up", "/etc/passwd", "..", "", "a/b", "a_b", "A_B", "metadata", "nul.x", 'q"\n}', "ö" * 300, "a:0"]
    rows = EMBEDDINGS["logits"]
    found = export_projector(tmp_path / "in", {name: rows + k for k, name in enumerate(hostile)}, METADATA)
    assert list(found.tensors) == hostile
    names = list(found.tensors.values())
    assert len({name.casefold() for name in names}) == len(hostile)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,89}", name) for name in names)
    assert not {"metadata", "nul.x"} & set(names)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    for k, entry in enumerate(parsed(tmp_path / "in")):
        assert (entry["tensor_name"], entry["tensor_path"]) == ([names[k]], [f"{names[k]}.tsv"])
        read = np.loadtxt(tmp_path / "in" / f"{names[k]}.tsv", dtype=np.float32)
        np.testing.assert_array_equal(read, rows + np.float32(k))


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 3), (4, 6), (6, 4, 3)])
def test_the_sprite_holds_each_picture_at_its_rows_place(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pictures = RNG.integers(0, 256, (COUNT, *shape), dtype=np.uint8)
    found = export_projector(tmp_path, EMBEDDINGS, METADATA, pictures)
    assert (found.side, found.shrunk) == (6, False)
    sheet = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert sheet.shape[:2] == (24, 24)
    position = METADATA["id"].tolist().index(106)
    row, column = divmod(position, 4)
    height, width = shape[:2]
    top, left = row * 6 + (6 - height) // 2, column * 6 + (6 - width) // 2
    np.testing.assert_array_equal(sheet[top : top + height, left : left + width], pictures[position])
    assert sheet.sum() == pictures.sum()


def test_numbers_become_grey_from_their_smallest_to_their_largest(tmp_path: Path) -> None:
    pictures = np.linspace(-1, 1, COUNT)[:, None, None] * np.ones((6, 6))
    export_projector(tmp_path, EMBEDDINGS, METADATA, pictures)
    sheet = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert (sheet[0, 0], sheet[8, 8], sheet[12, 12]) == (0, 128, 255)
    export_projector(tmp_path, EMBEDDINGS, METADATA, np.full((COUNT, 6, 6), 0.5))
    assert not np.asarray(Image.open(tmp_path / "sprite.png")).any()


def test_pictures_that_do_not_fit_are_made_smaller_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprite, "LARGEST", 20)
    flat = np.arange(COUNT, dtype=np.uint8)[:, None, None] * np.ones((6, 6), np.uint8)
    with pytest.warns(UserWarning, match="made smaller, 5 pixels"):
        found = export_projector(tmp_path, EMBEDDINGS, METADATA, flat)
    assert (found.side, found.shrunk) == (5, True)
    sheet = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert sheet.shape == (20, 20)
    assert (sheet[5:10, 10:15] == 6).all()
    assert parsed(tmp_path)[0]["sprite"]["single_image_dim"] == [5, 5]
    monkeypatch.setattr(sprite, "LARGEST", 12)
    with pytest.raises(ValueError, match="export fewer examples"):
        export_projector(tmp_path, EMBEDDINGS, METADATA, flat)


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_projector(tmp_path, EMBEDDINGS, METADATA, PICTURES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        export_projector(tmp_path, EMBEDDINGS, METADATA[["id"]], PICTURES[::-1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def changed(name: str, value: Any) -> dict[str, Any]:
    return {"embeddings": EMBEDDINGS, "metadata": METADATA, "pictures": PICTURES, name: value}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (changed("embeddings", {}), "at least one embedding"),
        (changed("embeddings", {"a": np.ones((COUNT, 1))}), "two columns or more"),
        (changed("embeddings", {"a": np.ones(COUNT)}), r"give \[n, d\]"),
        (changed("embeddings", {"a": np.ones((3, 2))}), "11 rows of metadata"),
        (changed("embeddings", {"a": np.full((COUNT, 2), np.nan)}), "not finite in float32"),
        (changed("embeddings", {"a": np.full((COUNT, 2), 1e300)}), "not finite in float32"),
        (changed("metadata", METADATA[:4]), "4 rows of metadata"),
        (changed("metadata", pd.DataFrame(index=range(COUNT))), "one or more"),
        (changed("metadata", METADATA.set_axis(["a", "a", "b"], axis=1)), "name of its own"),
        (changed("pictures", PICTURES[:4]), "4 pictures for 11 rows"),
        (changed("pictures", PICTURES[0]), r"give \[n, height, width\]"),
        (changed("pictures", np.full((COUNT, 2, 2), np.nan)), "not finite: replace"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        export_projector(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()

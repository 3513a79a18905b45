"""Reading an exhibit: light, and whatever is missing or damaged is a sentence while the rest is shown."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import images, texts, vectors

from whence.execution import RunFolder
from whence.exhibit import Choices, Exhibit, about, exhibit
from whence.exhibit.kept import NAME

LIGHT = """
import sys
from pathlib import Path
from whence.exhibit import Exhibit
from whence.exhibit.kept import Exhibit
light = [name for name in ("torch", "sklearn", "matplotlib", "pandas", "xarray", "PIL") if name in sys.modules]
from whence.execution.store import RunFolder
found = Exhibit.read(RunFolder.read(sys.argv[1]))
assert found.pictures("train").shape == (30, 5, 4) and not found.problems
heavy = [name for name in ("torch", "sklearn", "matplotlib", "PIL") if name in sys.modules]
sys.exit(f"imported: {light} {heavy}" if light or heavy else 0)
"""
Change = Callable[[RunFolder], None]


GIVEN = {"images": images, "texts": texts, "vectors": vectors}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the exhibit of each kind of rows."""
    place = tmp_path_factory.mktemp("originals")
    for name, make in GIVEN.items():
        given = make()
        with RunFolder.open(place / name, {"study": "made up"}, kind="study") as folder:
            choices = Choices("made up", refit="study", damping=0.1)
            exhibit(folder, given.task, given.train, given.queries, choices)
    return place


@pytest.fixture
def copy(originals: Path, tmp_path: Path) -> Iterator[Callable[[str], RunFolder]]:
    """Opens a copy of one of them."""
    opened: list[RunFolder] = []

    def of(name: str) -> RunFolder:
        shutil.copytree(originals / name, tmp_path / name)
        opened.append(RunFolder.open(tmp_path / name, {"study": "made up"}, kind="study"))
        return opened[-1]

    yield of
    for one in opened:
        one.close()


def again(folder: RunFolder) -> Exhibit:
    return Exhibit.read(RunFolder.read(folder.folder))


def put(key: str, **arrays: Any) -> Change:
    """Puts a piece on the shelf; arrays of the old one that are not named stay, None takes one away."""

    def change(folder: RunFolder) -> None:
        shelf = folder.shelf(NAME)
        old = {name: np.array(value) for name, value in shelf.get(key).items()}
        shelf.put(key, {name: value for name, value in {**old, **arrays}.items() if value is not None})

    return change


def say(**fields: Any) -> Change:
    """Changes fields of about.json."""

    def change(folder: RunFolder) -> None:
        path = folder.folder / NAME / "about.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def file_of(folder: RunFolder, key: str) -> Path:
    """The first array's file of a piece."""
    lines = (folder.folder / NAME / "manifest.jsonl").read_text().splitlines()
    entry = next(one for one in map(json.loads, lines) if one["key"] == key)
    return folder.folder / NAME / next(iter(entry["arrays"].values()))["file"]


def test_reading_loads_nothing_heavy(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("images")
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(folder.folder)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_arrays_stay_on_disk(copy: Callable[[str], RunFolder]) -> None:
    found = again(copy("images"))
    assert isinstance(found.pictures("train"), np.memmap)
    assert isinstance(found.columns("train")["loss"], np.memmap)
    assert isinstance(found.map("pca 2")["train"], np.memmap)


def test_a_run_without_an_exhibit(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", {}) as folder:
        found = again(folder)
    assert "This run has no exhibit" in found.problems[0]
    assert len(found.problems) == 1
    assert set(found.about) == set(about.complete(None)[0])
    assert (found.about["kind"], found.about["task"], found.about["maps"]) == ("none", "other", [])
    assert found.columns("train") == found.columns("queries") == {}
    assert found.pictures("train") is found.text("train", 0) is found.features("queries", 3) is None
    with pytest.raises(KeyError, match="there is no map"):
        found.map("pca 2")


@pytest.mark.parametrize("key", ["train pictures", "queries pictures", "columns", "map pca 2", "map tsne 2"])
@pytest.mark.parametrize("how", ["missing", "truncated", "altered", "empty"])
def test_a_damaged_piece_is_a_sentence_and_the_rest_is_there(
    copy: Callable[[str], RunFolder], key: str, how: str
) -> None:
    folder = copy("images")
    whole = again(folder)
    path = file_of(folder, key)
    content = path.read_bytes()
    changed = {"truncated": content[:-3], "altered": content[:-1] + bytes([content[-1] ^ 1]), "empty": b""}
    path.unlink() if how == "missing" else path.write_bytes(changed[how])
    found = again(folder)
    assert len(found.problems) == 1
    assert key in found.problems[0]
    assert "give the run's command again" in found.problems[0]
    side = "queries" if key == "train pictures" else "train"
    if "pictures" in key:
        assert found.pictures(key.split()[0]) is None
        np.testing.assert_array_equal(found.pictures(side), whole.pictures(side))
        assert found.about["kind"] == "image"
    maps = {one["name"] for one in found.about["maps"]}
    assert maps == {"pca 2", "tsne 2"} - {key.removeprefix("map ")}
    names = [one["name"] for one in found.about["columns"]]
    assert names == ([] if key == "columns" else ["disagreement", "neighbours_label"])
    assert found.columns("train")["id"].tolist() == whole.columns("train")["id"].tolist()


@pytest.mark.parametrize("side", ["train", "queries"])
def test_without_ids_nothing_can_be_laid_beside_them(copy: Callable[[str], RunFolder], side: str) -> None:
    folder = copy("texts")
    file_of(folder, side).unlink()
    found, other = again(folder), "queries" if side == "train" else "train"
    assert any(f"The exhibit's {side} cannot be shown" in problem for problem in found.problems)
    assert found.columns(side) == {}
    assert found.text(side, 0) is None
    assert found.text(other, 0)
    assert found.about["maps"] == []


@pytest.mark.parametrize("manifest", [b"", b"no json\n", b'{"key": "train", "turn": 0, "arrays": {"id": 3}}\n', None])
def test_a_damaged_manifest(copy: Callable[[str], RunFolder], manifest: bytes | None) -> None:
    folder = copy("vectors")
    path = folder.folder / NAME / "manifest.jsonl"
    path.unlink() if manifest is None else path.write_bytes(manifest)
    found = again(folder)
    assert found.problems[:2] == [
        f"The exhibit lacks its {side}: give the run's command again." for side in ("train", "queries")
    ]
    assert found.about["classes"] == ["0", "1"]
    assert found.about["kind"] == "none"


def test_a_manifest_that_names_a_file_elsewhere_is_not_followed(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("vectors")
    path = folder.folder / NAME / "manifest.jsonl"
    path.write_text(path.read_text().replace(file_of(folder, "train").name, "../../../etc/passwd"))
    assert any("lacks its train" in problem for problem in again(folder).problems)


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "null", '"x"', '{"format": "another"}', "[" * 100_000, "\x00\xff", '{"a": NaN']
)
def test_a_damaged_about(copy: Callable[[str], RunFolder], text: str | None) -> None:
    folder = copy("images")
    path = folder.folder / NAME / "about.json"
    path.unlink() if text is None else path.write_bytes(text.encode("latin-1"))
    found = again(folder)
    assert len(found.problems) == 1
    assert "about.json" in found.problems[0]
    assert found.about["kind"] == "image"
    assert found.pictures("train").shape == (30, 5, 4)
    assert len(found.columns("train")["disagreement"]) == 30
    assert found.about["classes"] is None


def test_another_schema_names_the_remedy(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("images")
    say(schema=99)(folder)
    assert "schema 99, this version reads 1" in again(folder).problems[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", 3),
        ("kind", "video"),
        ("kind", ["image"]),
        ("task", None),
        ("classes", "abc"),
        ("classes", [1, 2]),
        ("unit", {}),
        ("picture", {"height": 5, "width": -4, "channels": 1}),
        ("picture", {"height": 5}),
        ("maps", [{"name": "pca 2"}]),
        ("maps", {"name": 3}),
        ("columns", [None]),
        ("agreement", [{"scores": "a", "truth": "b"}]),
        ("agreement", [3]),
        ("refit", {"kind": "shell", "damping": 0.1}),
        ("refit", {"kind": "study", "damping": "a lot"}),
        ("notes", [1]),
    ],
)
def test_a_field_that_is_none_of_ours_is_the_default(
    copy: Callable[[str], RunFolder], field: str, value: object
) -> None:
    folder = copy("images")
    say(**{field: value})(folder)
    found = again(folder)
    assert found.problems == [f"{field!r} in exhibit/about.json is missing or damaged; give the run's command again."]
    assert found.about[field] == ("image" if field == "kind" else about.complete(None)[0][field])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("train", id=np.zeros(30, dtype=int)), "an id stands there twice"),
        (put("train", id=np.arange(30.0)), "'id' is float64"),
        (put("train", id=None), "lacks 'id'"),
        (put("train", loss=np.zeros(29, dtype=np.float32)), "loss: not one number for each of 30"),
        (put("train", label=np.array(["a"] * 30)), "'label' is <U1"),
        (
            put("columns", disagreement=np.zeros((30, 1), dtype=np.float32)),
            "'disagreement' is float32 of shape (30, 1)",
        ),
        (put("columns", disagreement=np.zeros(3, dtype=np.float32)), "not one number for each of 30"),
        (put("train pictures", pictures=np.zeros((29, 5, 4), np.uint8)), "holds 29 rows for 30 examples"),
        (put("train pictures", pictures=np.zeros((30, 5, 4), np.uint16)), "its pictures are uint16"),
        (put("train pictures", pictures=np.zeros((30, 5, 4, 2), np.uint8)), "of shape (30, 5, 4, 2)"),
        (put("train pictures", pictures=np.zeros((30, 0, 4), np.uint8)), "of shape (30, 0, 4)"),
        (put("train pictures", pictures=None), "lacks 'pictures'"),
        (put("map pca 2", train=np.zeros((30, 3), np.float32)), "shapes are [(30, 3), (6, 2)]"),
        (put("map pca 2", queries=np.zeros((7, 2), np.float32)), "shapes are [(30, 2), (7, 2)]"),
        (put("map pca 2", queries=np.zeros(12, np.float32)), "'queries' is float32 of shape (12,)"),
    ],
)
def test_arrays_of_another_form_are_left_out(copy: Callable[[str], RunFolder], change: Change, words: str) -> None:
    folder = copy("images")
    change(folder)
    problems = again(folder).problems
    assert words in problems[0]
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("train texts", ends=np.arange(30)[::-1].copy()), "end where there are none"),
        (put("train texts", ends=np.arange(30) - 5), "end where there are none"),
        (put("train texts", ends=np.full(30, 10**9)), "end where there are none"),
        (put("train texts", utf8=np.zeros(4)), "'utf8' is float64"),
        (put("train texts", ends=np.zeros(12, dtype=int)), "holds 12 rows for 30"),
    ],
)
def test_texts_of_another_form(copy: Callable[[str], RunFolder], change: Change, words: str) -> None:
    folder = copy("texts")
    change(folder)
    found = again(folder)
    assert words in found.problems[0]
    assert found.text("train", 0) is None
    assert found.text("queries", 0)


@pytest.mark.parametrize("names", [["a"], ["a", "a", "b", "c"], [1.0, 2.0, 3.0, 4.0]])
def test_features_of_another_form(copy: Callable[[str], RunFolder], names: list[Any]) -> None:
    folder = copy("vectors")
    put("train features", names=np.array(names))(folder)
    found = again(folder)
    assert "The exhibit's train features cannot be shown" in found.problems[0]
    assert found.features("train", 0) is None


def test_bytes_that_are_no_text_are_replaced(copy: Callable[[str], RunFolder]) -> None:
    folder = copy("texts")
    put("train texts", utf8=np.full(30, 255, np.uint8), ends=np.arange(1, 31))(folder)
    assert again(folder).text("train", 3) == "\ufffd"

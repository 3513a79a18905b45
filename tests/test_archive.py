"""Results on disk: what was saved comes back, damage is found, and nothing that stands is lost."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from whence import archive, files, results
from whence.results import Labels

RNG = np.random.default_rng(0)


def score_attrs() -> dict[str, object]:
    report = results.solver_report("cg", False, 1e-3, 50, 0.01, 23.0, note="é")
    return dict.fromkeys(results.REQUIRED, "x") | {"solver": report, "damping": 0.01, "seed": None, "schema": 1}


def integer_scores() -> xr.DataArray:
    query = Labels(np.array([7, 3]), label=np.array([0, 1]), prediction=np.array([1, 1]), loss=np.array([2.5, 0.1]))
    train = Labels(np.array([10, 30, 20], np.int32), label=np.array([0, 1, 1]))
    return results.scores(RNG.normal(size=(2, 3)).astype(np.float32), query, train, score_attrs())


def string_scores() -> xr.DataArray:
    query, train = (
        Labels(np.array(["a/b", "数字", ""])),
        Labels(np.array(["../x", "y"]), label=np.array(["cat", "dog"])),
    )
    return results.scores(np.array([[1.0, np.nan], [np.inf, -0.0], [1e-300, 2]]), query, train, score_attrs())


def object_scores() -> xr.DataArray:
    """Ids as pandas gives them."""
    return string_scores().assign_coords(train_label=("train", np.array(["cat", "dog"], dtype=object)))


def no_queries() -> xr.DataArray:
    return results.scores(np.empty((0, 2)), Labels(np.empty(0, np.int64)), Labels(np.array([1, 2])), score_attrs())


def with_layer() -> xr.DataArray:
    return integer_scores().assign_coords(layer="fc", step=5)


def truth() -> xr.Dataset:
    attrs = dict.fromkeys(results.TRUTH_REQUIRED, "x") | {"damping": 0.1}
    ids = np.array(["t1", "t2", "t3"])
    labels = (Labels(np.array(["q1", "q2"])), Labels(ids, label=np.array([0, 1, 0])))
    more = {"gradient_norm": (("removed", "seed"), RNG.normal(size=(3, 2)))}
    effect = RNG.normal(size=(3, 2, 2))
    return results.truth(effect, np.eye(3, dtype=bool), ids, labels, attrs, more, seeds=np.array([4, 5]))


CASES = [integer_scores, string_scores, no_queries, with_layer, truth]


def disk_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("build", CASES)
@pytest.mark.parametrize("verify", [True, False])
def test_round_trip(tmp_path: Path, build: Callable[[], xr.DataArray | xr.Dataset], verify: bool) -> None:
    data = build()
    assert archive.save(data, tmp_path / "deep" / "result") == tmp_path / "deep" / "result"
    loaded = archive.load(tmp_path / "deep" / "result", verify=verify)
    assert type(loaded) is type(data)
    xr.testing.assert_identical(loaded, data)
    for name, coordinate in data.coords.items():
        assert loaded[name].dtype == coordinate.dtype
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["result"]


def test_labels_of_type_object_come_back_as_strings(tmp_path: Path) -> None:
    loaded = archive.load(archive.save(object_scores(), tmp_path / "result"))
    assert loaded["train_label"].dtype.kind == "U"
    assert loaded["train_label"].values.tolist() == ["cat", "dog"]


@pytest.mark.parametrize("build", [integer_scores, truth])
def test_saving_again_replaces(tmp_path: Path, build: Callable[[], xr.DataArray | xr.Dataset]) -> None:
    archive.save(string_scores(), tmp_path / "result")
    data = build()
    archive.save(data, tmp_path / "result")
    xr.testing.assert_identical(archive.load(tmp_path / "result"), data)
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    archive.save(integer_scores(), tmp_path / "result")
    assert archive.load(tmp_path / "result").shape == (2, 3)


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "main.tex").write_text("my work")
    with pytest.raises(FileExistsError, match="is not a result; choose another place"):
        archive.save(integer_scores(), tmp_path / "thesis")
    assert snapshot(tmp_path) == {"thesis/main.tex": b"my work"}
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"]


@pytest.mark.parametrize("broken", ["solver", "sign"])
def test_what_breaks_the_schema_is_not_written(tmp_path: Path, broken: str) -> None:
    data = integer_scores()
    del data.attrs[broken]
    with pytest.raises(results.ResultError, match=broken):
        archive.save(data, tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


class TestDamage:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        return archive.save(integer_scores(), tmp_path / "result")

    def test_a_truncated_array(self, saved: Path) -> None:
        path = saved / "score.npy"
        path.write_bytes(path.read_bytes()[:-4])
        for verify in (True, False):
            with pytest.raises(files.FileError, match=r"score\.npy is truncated"):
                archive.load(saved, verify=verify)

    def test_an_altered_array(self, saved: Path) -> None:
        path = saved / "score.npy"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(files.FileError, match="was altered"):
            archive.load(saved)

    def test_an_altered_id(self, saved: Path) -> None:
        np.save(saved / "train.npy", np.array([10, 20, 30], np.int32))
        with pytest.raises(files.FileError, match=r"train\.npy .*was altered"):
            archive.load(saved)

    @pytest.mark.parametrize("name", ["score.npy", "train.npy", "query_label.npy", "result.json"])
    def test_a_missing_file(self, saved: Path, name: str) -> None:
        (saved / name).unlink()
        with pytest.raises(files.FileError, match=f"{name} is missing"):
            archive.load(saved)

    def test_a_pickle_is_not_opened(self, saved: Path) -> None:
        np.save(saved / "score.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(files.FileError, match="not an array file"):
            archive.load(saved, verify=False)

    @pytest.mark.parametrize("cut", [0, 10, -2])
    def test_a_truncated_header(self, saved: Path, cut: int) -> None:
        path = saved / "result.json"
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(files.FileError, match="truncated or not JSON"):
            archive.load(saved)

    def test_a_header_of_something_else(self, saved: Path) -> None:
        (saved / "result.json").write_text('{"accuracy": 0.9}')
        with pytest.raises(files.FileError, match="holds no result of this library"):
            archive.load(saved)

    def test_another_schema_version(self, saved: Path) -> None:
        path = saved / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": results.SCHEMA + 1}))
        with pytest.raises(results.ResultError, match=f"has schema {results.SCHEMA + 1}; .* reads {results.SCHEMA}"):
            archive.load(saved)

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(files.FileError, match="missing"):
            archive.load(tmp_path / "nowhere")


class TestFullDisk:
    @pytest.mark.parametrize("call", [1, 3, 7])
    def test_the_old_result_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
        """Call 7 flushes the header: score, query, query_label, _prediction, _loss, train ... come before it."""
        old, new, calls, real = string_scores(), integer_scores(), [], os.fsync
        archive.save(old, tmp_path / "result")
        before = snapshot(tmp_path)

        def fsync(handle: int) -> None:
            calls.append(handle)
            if len(calls) == call:
                disk_full()
            real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(OSError, match="No space left"):
                archive.save(new, tmp_path / "result")
        assert snapshot(tmp_path) == before
        assert [p.name for p in tmp_path.iterdir()] == ["result"]
        xr.testing.assert_identical(archive.load(tmp_path / "result"), old)

    def test_nothing_is_left_where_nothing_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(np, "save", disk_full)
        with pytest.raises(OSError, match="No space left"):
            archive.save(integer_scores(), tmp_path / "result")
        assert list(tmp_path.iterdir()) == []

    def test_the_old_result_stays_when_the_new_cannot_be_moved(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive.save(string_scores(), tmp_path / "result")
        before, real = snapshot(tmp_path), Path.rename

        def rename(self: Path, target: Path) -> Path:
            if (self / "result.json").exists() and self.name != "result":
                disk_full()
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="No space left"):
            archive.save(integer_scores(), tmp_path / "result")
        assert snapshot(tmp_path) == before

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


def failing_renames(monkeypatch: pytest.MonkeyPatch, which: set[int]) -> None:
    """Of all renames, those numbered ``which`` fail: 1 puts the old aside, 2 brings the new, 3 the old back."""
    real, calls = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) in which:
            disk_full()
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


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


def test_a_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("my work")
    with pytest.raises(FileExistsError, match="is not a result; choose another place"):
        archive.save(integer_scores(), tmp_path / "thesis.tex")
    assert snapshot(tmp_path) == {"thesis.tex": b"my work"}
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path, there: bool) -> None:
    if there:
        archive.save(string_scores(), tmp_path / "disk" / "result")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "result")
    assert archive.save(integer_scores(), tmp_path / "link") == tmp_path / "link"
    assert (tmp_path / "link").is_symlink()
    assert archive.load(tmp_path / "disk" / "result").shape == (2, 3)


def test_files_and_folders_get_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        archive.save(integer_scores(), tmp_path / "deep" / "result")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").rglob("*")}
    assert modes.pop("result") == 0o750
    assert set(modes.values()) == {0o640}


@pytest.mark.parametrize("data", [np.ones((2, 3)), {"score": 1}, None])
def test_only_results_are_saved(tmp_path: Path, data: object) -> None:
    with pytest.raises(results.ResultError, match="save a DataArray of scores or a truth"):
        archive.save(data, tmp_path / "result")  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[1, None], ["cat", None], [{}, []], ["cat", 3]])
def test_objects_are_refused(tmp_path: Path, values: list[object]) -> None:
    held = np.empty(2, dtype=object)
    held[:] = values
    with pytest.raises(results.ResultError, match="train_label holds Python objects; convert it"):
        archive.save(string_scores().assign_coords(train_label=("train", held)), tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "C:x", ".hidden", "", "nul\0", 5])
def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(results.ResultError, match="cannot name a variable on disk"):
        archive.save(integer_scores().assign_coords({name: ("query", [1, 2])}), tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_attributes_that_are_not_json_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(results.ResultError, match="use finite numbers"):
        archive.save(integer_scores().assign_attrs(note=value), tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["solver", "sign"])
def test_what_breaks_the_schema_is_not_written(tmp_path: Path, broken: str) -> None:
    data = integer_scores()
    del data.attrs[broken]
    with pytest.raises(results.ResultError, match=broken):
        archive.save(data, tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


def alter(saved: Path, change: Callable[[dict], object]) -> None:
    path = saved / "result.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))


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

    @pytest.mark.parametrize("gone", ["kind", "attrs", "variables"])
    def test_a_header_that_lacks_a_key(self, saved: Path, gone: str) -> None:
        alter(saved, lambda header: header.pop(gone))
        with pytest.raises(files.FileError, match="damaged or was altered; copy or compute"):
            archive.load(saved)

    @pytest.mark.parametrize("gone", ["file", "dims", "sha256", "coordinate"])
    def test_a_variable_that_lacks_a_key(self, saved: Path, gone: str) -> None:
        alter(saved, lambda header: header["variables"]["score"].pop(gone))
        with pytest.raises(files.FileError, match="damaged or was altered"):
            archive.load(saved)

    def test_scores_without_scores(self, saved: Path) -> None:
        alter(saved, lambda header: header["variables"].pop("score"))
        with pytest.raises(files.FileError, match="damaged or was altered"):
            archive.load(saved)

    def test_dims_that_do_not_fit(self, saved: Path) -> None:
        alter(saved, lambda header: header["variables"]["score"].update(dims=["query"]))
        with pytest.raises(files.FileError, match="do not fit together"):
            archive.load(saved)

    @pytest.mark.parametrize("name", ["../secret", "..\\secret", "sub/secret"])
    def test_a_header_cannot_name_a_file_elsewhere(self, saved: Path, name: str) -> None:
        np.save(saved.parent / "secret.npy", np.ones(2))
        entry = {"file": f"{name}.npy", "dims": ["query"], "sha256": "", "coordinate": True}
        alter(saved, lambda header: header["variables"].update({"secret": entry}))
        with pytest.raises(files.FileError, match="damaged or was altered"):
            archive.load(saved, verify=False)
        alter(saved, lambda header: header["variables"].update({name: header["variables"].pop("secret")}))
        with pytest.raises(files.FileError, match="damaged or was altered"):
            archive.load(saved, verify=False)

    def test_an_archive_of_several_arrays_is_refused(self, saved: Path) -> None:
        with (saved / "score.npy").open("wb") as file:
            np.savez(file, a=np.ones((2, 3)))
        with pytest.raises(files.FileError, match="not an array file"):
            archive.load(saved, verify=False)

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
        before = snapshot(tmp_path)
        failing_renames(monkeypatch, {2})
        with pytest.raises(OSError, match="No space left"):
            archive.save(integer_scores(), tmp_path / "result")
        assert snapshot(tmp_path) == before
        assert [p.name for p in tmp_path.iterdir()] == ["result"]

    def test_the_old_result_is_kept_aside_when_it_cannot_be_moved_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive.save(string_scores(), tmp_path / "result")
        failing_renames(monkeypatch, {2, 3})
        with pytest.raises(OSError, match=f"No space left.*the former result lies in .*: move it back to {tmp_path}"):
            archive.save(integer_scores(), tmp_path / "result")
        (kept,) = tmp_path.iterdir()
        xr.testing.assert_identical(archive.load(kept), string_scores())

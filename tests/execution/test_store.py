"""A run is a folder: it resumes what it proves, refuses what it is not, and survives kills and full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from whence import files, results
from whence.execution import RunError, RunFolder, Shelf
from whence.execution import record as module

CONFIG = {"damping": 0.01, "solver": {"name": "cg", "tolerance": 1e-4}, "layers": ["conv1", "fc"]}
HOSTILE = [
    "",
    "a/b",
    "../../escape",
    "..",
    "/etc/passwd",
    "manifest.jsonl",
    "C:\\nul",
    "line\nend",
    "nul\0byte",
    "é",
    "e\u0301",
    "数字\u2028",
    "lone \udc80 surrogate",
    "long" * 5000,
]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder.open(tmp_path / "run", CONFIG) as opened:
        yield opened


def piece(seed: int) -> dict[str, np.ndarray]:
    values = np.random.default_rng(seed).normal(size=(3, 4))
    return {"effect": values, "ids": np.array([f"id {seed}", "é"]), "steps": np.int64(seed)}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[k], second[k]) and first[k].dtype == np.asarray(second[k]).dtype for k in first
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def disk_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def damage(path: Path) -> None:
    """Flip one bit of the last byte: the size stays."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lock_text(pid: int, host: str, started: str | None = None) -> str:
    return json.dumps({"pid": pid, "host": host, "started": started})


class TestOpening:
    def test_the_record_says_what_ran(self, run: RunFolder) -> None:
        about = json.loads((run.folder / "run.json").read_text())
        assert about["config"] == CONFIG == run.config
        assert about["kind"] == "run"
        assert (about["format"], about["schema"]) == ("whence-run", 1)
        assert about["versions"]["numpy"] == np.__version__
        assert about["versions"]["python"].startswith("3.")
        assert about["versions"].keys() == {"python", "whence", "torch", "numpy"}
        assert about["started"].endswith("+00:00")

    @pytest.mark.parametrize("inside", [True, False])
    def test_the_commit_is_that_of_the_current_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
    ) -> None:
        place = tmp_path / "elsewhere"
        place.mkdir()
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
        expected = None
        if inside:
            subprocess.run([*git, "init", "-q"], cwd=place, check=True)
            subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], cwd=place, check=True)
            done = subprocess.run([*git, "rev-parse", "HEAD"], cwd=place, check=True, capture_output=True, text=True)
            expected = done.stdout.strip()
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
        monkeypatch.chdir(place)
        with RunFolder.open(tmp_path / "run", CONFIG) as run:
            assert run.about["commit"] == expected

    def test_no_git_is_no_trouble(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with RunFolder.open(tmp_path / "run", CONFIG) as run:
            assert run.about["commit"] is None

    def test_resuming_keeps_the_record(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path / "run", CONFIG).close()
        before = snapshot(tmp_path)
        with RunFolder.open(tmp_path / "run", {**CONFIG, "layers": ("conv1", "fc")}) as run:
            assert run.config == CONFIG
        assert snapshot(tmp_path) == before

    def test_another_configuration_is_named_key_by_key(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path / "run", CONFIG).close()
        other = {"damping": 0.1, "solver": {"name": "cg"}, "layers": ["conv1", "fc"], "seed": True}
        with pytest.raises(RunError) as caught:
            RunFolder.open(tmp_path / "run", other)
        message = str(caught.value)
        assert "damping: 0.01 -> 0.1" in message
        assert "solver.tolerance: 0.0001 -> (absent)" in message
        assert "seed: (absent) -> true" in message
        assert "solver.name" not in message
        assert "layers" not in message
        assert "another folder, or the same configuration" in message
        RunFolder.open(tmp_path / "run", CONFIG).close()  # the refused one left no lock behind

    def test_true_is_not_one(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path / "run", {"seed": 1}).close()
        with pytest.raises(RunError, match="seed: 1 -> true"):
            RunFolder.open(tmp_path / "run", {"seed": True})

    def test_another_kind(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path / "run", CONFIG, kind="truth").close()
        with pytest.raises(RunError, match='kind: "truth" -> "scores"'):
            RunFolder.open(tmp_path / "run", CONFIG, kind="scores")

    @pytest.mark.parametrize("value", [float("nan"), np.float32(1), {1, 2}])
    def test_a_configuration_that_is_not_json(self, tmp_path: Path, value: object) -> None:
        with pytest.raises(RunError, match="use plain finite values"):
            RunFolder.open(tmp_path / "run", {"damping": value})  # type: ignore[dict-item]
        assert not (tmp_path / "run").exists()

    def test_a_foreign_folder_is_not_touched(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("my work")
        with pytest.raises(RunError, match=r"not a run and not empty .*thesis.tex.*choose a new or empty folder"):
            RunFolder.open(tmp_path, CONFIG)
        assert snapshot(tmp_path) == {"thesis.tex": b"my work"}

    def test_a_file_is_not_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("my work")
        with pytest.raises(RunError, match="is a file"):
            RunFolder.open(tmp_path / "run", CONFIG)
        assert (tmp_path / "run").read_text() == "my work"

    def test_what_a_killed_start_leaves_is_no_obstacle(self, tmp_path: Path) -> None:
        (tmp_path / ".run.json.abc").write_text('{"form')
        with RunFolder.open(tmp_path, CONFIG) as run:
            assert run.config == CONFIG

    @pytest.mark.parametrize("opening", [lambda path: RunFolder.open(path, CONFIG), RunFolder.read])
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda text: text[: len(text) // 2], "truncated.*start again in another folder"),
            (lambda text: "", "truncated"),
            (lambda text: "[]", "not the record of a run"),
            (lambda text: text.replace("whence-run", "other"), "not the record of a run"),
            (lambda text: text.replace('"schema": 1', '"schema": 2'), "run schema 2, this version reads 1"),
            (lambda text: text.replace('"config"', '"gone"'), "lacks its config"),
        ],
    )
    def test_a_damaged_record(self, tmp_path: Path, opening, change, message: str) -> None:  # type: ignore[no-untyped-def]
        RunFolder.open(tmp_path, CONFIG).close()
        path = tmp_path / "run.json"
        path.write_text(change(path.read_text()))
        before = snapshot(tmp_path)
        with pytest.raises(RunError, match=message):
            opening(tmp_path)
        assert snapshot(tmp_path) == before

    def test_a_full_disk_leaves_no_half_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", disk_full)
            with pytest.raises(OSError, match="No space left"):
                RunFolder.open(tmp_path, CONFIG)
        assert snapshot(tmp_path) == {}

    def test_reading_what_is_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"run\.json is missing"):
            RunFolder.read(tmp_path / "nowhere")
        assert not (tmp_path / "nowhere").exists()


class TestLock:
    def test_a_second_writer_in_this_process(self, run: RunFolder) -> None:
        with pytest.raises(RunError, match=f"in use by pid {os.getpid()} on {socket.gethostname()}"):
            RunFolder.open(run.folder, CONFIG)
        run.close()
        with RunFolder.open(run.folder, CONFIG) as second:
            assert second.writable

    def test_a_second_writer_in_another_process(self, run: RunFolder) -> None:
        code = "import sys; from whence.execution import RunFolder; RunFolder.open(sys.argv[1], {})"
        done = subprocess.run([sys.executable, "-c", code, run.folder], capture_output=True, text=True, check=False)
        assert f"RunError: {run.folder} is in use by pid {os.getpid()}" in done.stderr
        assert (run.folder / "run.lock").exists()

    def test_readers_are_free(self, run: RunFolder) -> None:
        run.shelf("refits").put("a", piece(1))
        with RunFolder.read(run.folder) as reader:
            shelf = reader.shelf("refits")
            assert same(shelf.get("a"), piece(1))
            run.shelf("refits").put("b", piece(2))
            assert shelf.done() == {"a", "b"}
            with pytest.raises(RunError, match=r"reading only.*RunFolder\.open"):
                reader.shelf("refits").put("c", piece(3))
            with pytest.raises(RunError, match="reading only"):
                reader.save("scores", score_array())
        assert (run.folder / "run.lock").exists()

    def test_a_closed_run_does_not_write(self, run: RunFolder) -> None:
        shelf = run.shelf("refits")
        run.close()
        run.close()
        assert not (run.folder / "run.lock").exists()
        with pytest.raises(RunError, match="closed"):
            shelf.put("a", piece(1))

    def test_the_lock_is_freed_when_work_fails(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), RunFolder.open(tmp_path, CONFIG):
            raise ZeroDivisionError
        assert not (tmp_path / "run.lock").exists()

    @pytest.mark.parametrize("kept", [True, False])
    def test_a_run_that_kept_nothing_before_it_failed_is_forgotten(self, tmp_path: Path, kept: bool) -> None:
        def work(run: RunFolder) -> None:
            if kept:
                run.shelf("refits").put("a", piece(1))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), RunFolder.open(tmp_path, CONFIG) as run:
            work(run)
        if kept:
            with pytest.raises(RunError, match="another configuration"):
                RunFolder.open(tmp_path, {})
        RunFolder.open(tmp_path, CONFIG if kept else {}).close()

    def test_a_stale_lock_is_taken_over(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, CONFIG).close()
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        (tmp_path / "run.lock").write_text(lock_text(gone.pid, socket.gethostname()))
        with RunFolder.open(tmp_path, CONFIG):
            assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
    def test_a_pid_given_to_another_process_is_stale(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, CONFIG).close()
        (tmp_path / "run.lock").write_text(lock_text(os.getpid(), socket.gethostname(), started="1"))
        with RunFolder.open(tmp_path, CONFIG) as run:
            assert run.writable

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
    def test_a_zombie_is_stale(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, CONFIG).close()
        zombie = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started = Path(f"/proc/{zombie.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (tmp_path / "run.lock").write_text(lock_text(zombie.pid, socket.gethostname(), started))
        with pytest.raises(RunError, match=f"in use by pid {zombie.pid}"):
            RunFolder.open(tmp_path, CONFIG)
        zombie.stdin.write(b"\n")
        zombie.stdin.close()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        with RunFolder.open(tmp_path, CONFIG) as run:
            assert run.writable
        zombie.wait()

    def test_a_lock_from_another_host_is_left_alone(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, CONFIG).close()
        text = lock_text(12, "node7.cluster")
        (tmp_path / "run.lock").write_text(text)
        with pytest.raises(RunError, match=r"pid 12 on node7\.cluster.*if that process is gone, delete .*run\.lock"):
            RunFolder.open(tmp_path, CONFIG)
        assert (tmp_path / "run.lock").read_text() == text

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "host": "y", "started": null}'])
    def test_a_damaged_lock_is_left_alone(self, tmp_path: Path, text: str) -> None:
        RunFolder.open(tmp_path, CONFIG).close()
        (tmp_path / "run.lock").write_text(text)
        with pytest.raises(RunError, match=r"run\.lock is damaged.*delete it"):
            RunFolder.open(tmp_path, CONFIG)
        assert (tmp_path / "run.lock").read_text() == text

    def test_of_many_that_find_a_stale_lock_one_gets_it(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, {}).close()
        (tmp_path / "run.lock").write_text(lock_text(2**22 + 1, socket.gethostname()))
        code = textwrap.dedent("""
            import sys
            from whence.execution import RunError, RunFolder
            print("ready", flush=True)
            sys.stdin.readline()
            try:
                RunFolder.open(sys.argv[1], {})
                print("got it", flush=True)
            except RunError:
                print("refused", flush=True)
            sys.stdin.readline()
        """)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        several = [subprocess.Popen([sys.executable, "-c", code, tmp_path], **pipes) for _ in range(3)]
        assert [p.stdout.readline() for p in several] == ["ready\n"] * 3
        for p in several:
            p.stdin.write("go\n")
            p.stdin.flush()
        answers = [p.stdout.readline() for p in several]
        for p in several:
            p.communicate()
        assert sorted(answers) == ["got it\n", "refused\n", "refused\n"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_child_neither_frees_nor_writes(self, run: RunFolder) -> None:
        child = os.fork()
        if child == 0:
            writable = run.writable
            run.close()
            os._exit(1 if writable else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (run.folder / "run.lock").exists()


class TestShelf:
    def test_put_and_get(self, run: RunFolder) -> None:
        shelf = run.shelf("refits")
        assert shelf.done() == set()
        shelf.put("a", piece(1))
        shelf.put("nothing", {})
        shelf.put("empty", {"rows": np.empty((0, 5), np.float32)})
        again = run.shelf("refits")
        assert again.done() == again.done(verify=True) == {"a", "nothing", "empty"}
        assert same(again.get("a"), piece(1))
        assert again.get("nothing") == {}
        assert again.get("empty")["rows"].shape == (0, 5)

    def test_the_manifest_can_be_read_by_others(self, run: RunFolder) -> None:
        run.shelf("refits").put("a", {"effect": np.zeros((3, 4), np.float32)})
        (line,) = (run.folder / "refits" / "manifest.jsonl").read_text().splitlines()
        entry = json.loads(line)
        effect = entry["arrays"]["effect"]
        path = run.folder / "refits" / effect["file"]
        assert entry["key"] == "a"
        assert (effect["shape"], effect["dtype"]) == ([3, 4], "<f4")
        assert (effect["bytes"], effect["sha256"]) == (path.stat().st_size, files.digest(path))

    def test_hostile_keys_stay_inside_and_apart(self, run: RunFolder, tmp_path: Path) -> None:
        shelf = run.shelf("refits")
        for number, key in enumerate(HOSTILE):
            shelf.put(key, piece(number))
        again = RunFolder.read(run.folder).shelf("refits")
        assert again.done(verify=True) == set(HOSTILE)
        assert all(same(again.get(key), piece(number)) for number, key in enumerate(HOSTILE))
        assert [p.name for p in tmp_path.iterdir()] == ["run"]
        assert {p.name for p in run.folder.iterdir()} == {"run.json", "run.lock", "refits"}
        assert all(len(p.name) < 64 and p.is_file() for p in (run.folder / "refits").iterdir())

    def test_hostile_array_names(self, run: RunFolder) -> None:
        run.shelf("refits").put("a", {"../x": np.ones(2), "": np.zeros(3)})
        found = RunFolder.read(run.folder).shelf("refits").get("a")
        assert found.keys() == {"../x", ""}
        assert found["../x"].shape == (2,)

    def test_a_key_put_again_is_replaced_and_its_old_files_go(self, run: RunFolder) -> None:
        shelf = run.shelf("refits")
        for seed in (1, 2, 3):
            shelf.put("a", piece(seed))
        assert same(run.shelf("refits").get("a"), piece(3))
        assert len(list(shelf.folder.glob("*.npy"))) == len(piece(3))

    def test_an_unknown_key(self, run: RunFolder) -> None:
        with pytest.raises(KeyError, match="not on the shelf 'refits'"):
            run.shelf("refits").get("a")

    def test_a_key_that_is_no_string(self, run: RunFolder) -> None:
        with pytest.raises(TypeError, match=r"use str\(key\)"):
            run.shelf("refits").put(7, piece(1))  # type: ignore[arg-type]

    def test_objects_are_refused(self, run: RunFolder) -> None:
        shelf = run.shelf("refits")
        with pytest.raises(RunError, match=r"\['bad'\] hold Python objects"):
            shelf.put("a", {"good": np.ones(2), "bad": np.array([{}, None])})
        assert shelf.done() == set()
        assert snapshot(run.folder).keys() == {"run.json", "run.lock"}

    @pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..", ".hidden", "results", "run.json", "x" * 101, "a\n", "é"])
    def test_names_that_are_no_plain_names(self, run: RunFolder, name: str) -> None:
        with pytest.raises(RunError, match="cannot name a shelf or result"):
            run.shelf(name)
        with pytest.raises(RunError, match="cannot name a shelf or result"):
            run.path(name)


class TestDamage:
    @pytest.fixture
    def shelf(self, run: RunFolder) -> Shelf:
        shelf = run.shelf("refits")
        for seed, key in enumerate("abc"):
            shelf.put(key, piece(seed))
        return shelf

    def array(self, shelf: Shelf, key: str) -> Path:
        lines = [json.loads(line) for line in (shelf.folder / "manifest.jsonl").read_text().splitlines()]
        (found,) = (line["arrays"]["effect"]["file"] for line in lines if line["key"] == key)
        return shelf.folder / found

    @pytest.mark.parametrize("left", ["half", "no line end"])
    def test_a_line_cut_off_by_a_kill_is_ignored_and_overwritten(self, run: RunFolder, shelf: Shelf, left: str) -> None:
        manifest = shelf.folder / "manifest.jsonl"
        text = manifest.read_bytes()
        last = text.splitlines(keepends=True)[-1]
        manifest.write_bytes(text[: -len(last) // 2] if left == "half" else text[:-1])
        again = run.shelf("refits")
        assert again.done() == {"a", "b"}
        again.put("d", piece(9))
        again.put("c", piece(2))
        assert run.shelf("refits").done(verify=True) == {"a", "b", "c", "d"}
        assert [json.loads(line)["key"] for line in manifest.read_text().splitlines()] == ["a", "b", "d", "c"]

    def test_a_damaged_line_in_the_middle_costs_only_its_key(self, run: RunFolder, shelf: Shelf) -> None:
        manifest = shelf.folder / "manifest.jsonl"
        lines = manifest.read_bytes().splitlines(keepends=True)
        lines[1] = b"\0" * (len(lines[1]) - 1) + b"\n"
        manifest.write_bytes(b"".join(lines))
        assert run.shelf("refits").done() == {"a", "c"}

    @pytest.mark.parametrize(
        "harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-8]), lambda path: path.write_bytes(b"")]
    )
    def test_a_missing_or_cut_array_is_redone(self, run: RunFolder, shelf: Shelf, harm) -> None:  # type: ignore[no-untyped-def]
        harm(self.array(shelf, "b"))
        again = run.shelf("refits")
        assert again.done() == {"a", "c"}
        with pytest.raises(files.FileError):
            again.get("b")
        again.put("b", piece(1))
        assert same(run.shelf("refits").get("b"), piece(1))
        assert run.shelf("refits").done(verify=True) == {"a", "b", "c"}

    def test_an_altered_array_is_never_handed_out(self, run: RunFolder, shelf: Shelf) -> None:
        damage(self.array(shelf, "b"))
        with pytest.raises(files.FileError, match="altered"):
            shelf.get("b")
        assert shelf.done(verify=True) == {"a", "c"}
        assert same(shelf.get("a"), piece(0))

    @pytest.mark.parametrize("file", ["../run.json", "/etc/hostname", "manifest.jsonl"])
    def test_a_manifest_cannot_name_a_file_elsewhere(self, run: RunFolder, shelf: Shelf, file: str) -> None:
        target = shelf.folder / file
        about = {"file": file, "bytes": target.stat().st_size, "sha256": files.digest(target)}
        line = json.dumps({"key": "evil", "turn": 0, "arrays": {"x": about}})
        with (shelf.folder / "manifest.jsonl").open("a") as manifest:
            manifest.write(line + "\n")
        assert run.shelf("refits").done() == {"a", "b", "c"}
        with pytest.raises(KeyError):
            run.shelf("refits").get("evil")

    @pytest.mark.parametrize("call", [1, 2, 3, 4])
    def test_a_full_disk_at_any_moment_keeps_what_is_there(
        self, run: RunFolder, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, call: int
    ) -> None:
        """Calls 1 to 3 flush the arrays, call 4 the manifest."""
        before, real, calls = snapshot(shelf.folder), os.fsync, []

        def fsync(handle: int) -> None:
            calls.append(handle)
            if len(calls) == call:
                disk_full()
            real(handle)

        for key in ("new", "b"):
            calls.clear()
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", fsync)
                with pytest.raises(OSError, match="No space left"):
                    shelf.put(key, piece(7))
            assert len(calls) == call
            assert snapshot(shelf.folder) == before
        assert shelf.done(verify=True) == {"a", "b", "c"}
        shelf.put("new", piece(7))
        assert same(run.shelf("refits").get("new"), piece(7))

    def test_a_full_disk_while_an_array_is_written(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        before = snapshot(shelf.folder)
        with monkeypatch.context() as patch:
            patch.setattr(np, "save", disk_full)
            with pytest.raises(OSError, match="No space left"):
                shelf.put("new", piece(7))
        assert snapshot(shelf.folder) == before


def test_a_run_killed_between_pieces_is_resumed(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import os, signal, sys
        import numpy as np
        from whence.execution import RunFolder

        run = RunFolder.open(sys.argv[1], {"seed": 3})
        shelf = run.shelf("refits")
        for number in range(4):
            if number == 3:
                with open(shelf.folder / "manifest.jsonl", "ab") as manifest:
                    manifest.write(b'{"key": "3", "turn": 0, "arr')
                os.kill(os.getpid(), signal.SIGKILL)
            shelf.put(str(number), {"effect": np.full(5, number)})
    """)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / "run.lock").exists()
    with RunFolder.open(tmp_path / "run", {"seed": 3}) as run:
        shelf = run.shelf("refits")
        assert shelf.done(verify=True) == {"0", "1", "2"}
        for key in {"0", "1", "2", "3"} - shelf.done():
            shelf.put(key, {"effect": np.full(5, int(key))})
        assert all((shelf.get(str(n))["effect"] == n).all() for n in range(4))


def score_array() -> xr.DataArray:
    attrs = dict.fromkeys(results.REQUIRED, "x") | {"solver": results.solver_report()}
    query, train = results.Labels(np.array(["q 1", "q 2"])), results.Labels(np.arange(3))
    return results.scores(np.arange(6.0).reshape(2, 3), query, train, attrs)


class TestResults:
    def test_saved_and_loaded(self, run: RunFolder) -> None:
        assert run.save("influence", score_array()) == run.folder / "results" / "influence"
        xr.testing.assert_identical(RunFolder.read(run.folder).load("influence"), score_array())

    def test_a_result_that_is_not_there(self, run: RunFolder) -> None:
        with pytest.raises(files.FileError, match="missing"):
            run.load("influence")


def test_opening_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from whence.execution import RunFolder; RunFolder.open(sys.argv[1], {}).close(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_versions_of_missing_packages_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise module.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.importlib.metadata, "version", version)
    with RunFolder.open(tmp_path, CONFIG) as run:
        assert run.about["versions"]["torch"] is None

"""``whence refit``: examples removed together from a run for real, kept once, and every way in which that can fail."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whence import datasets
from whence.cli import removal
from whence.cli.removal import Removal
from whence.execution import RunFolder
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.studies import clusters
from whence.studies import line as line_study
from whence.studies.study import Settings

FIELDS = ["name", "removed", "queries", "before", "after", "effect", "gradient_norm", "converged", "seconds"]
SLOW = """
import time
import torch
import whence as wh
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(3, 2).double()

    def forward(self, x):
        if {waits}:
            time.sleep(0.1)
        return self.out(x)

def task():
    torch.manual_seed(0)
    x, y = torch.randn(40, 3, dtype=torch.float64), torch.arange(40) % 2
    return wh.Classification(Slow(), weight_decay=0.01), (x, y), (x[:5], y[:5])
"""


@pytest.fixture
def made(whence, program) -> Callable[..., tuple[str, Path]]:
    """A program and the run of it."""

    def make(*words: object) -> tuple[str, Path]:
        name = f"{program()}:task"
        given = words or ("--method", "leverage-corrected", "--damping", 0.05)
        answer = whence("attribute", name, "--queries", "q3,q7", "--out", "run", "--no-exhibit", *given)
        assert answer.code == 0, answer.err
        return name, Path("run")

    return make


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the smallest study."""
    folder, settings = tmp_path_factory.mktemp("studies") / "line", Settings()
    with RunFolder.open(folder, {"study": "line", **settings.config}, kind="study") as run:
        line_study.STUDY.run(run, settings)
    return folder


@pytest.fixture
def line(study_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(study_folder, tmp_path / "line")


def test_a_group_of_a_program_is_refitted_together(whence, made) -> None:
    name, folder = made()
    answer = whence("refit", folder, "--without", "t3,t17", "--model", name, "--format", "json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert list(found) == FIELDS
    assert found["removed"] == ["t3", "t17"]
    assert found["queries"] == ["q3", "q7"]
    task, train, queries = sys.modules[name.split(":")[0]].task()
    asked = queries.select(["q3", "q7"])
    expected = leave_out(task, train, asked, {"both": ["t3", "t17"]}, Proximal(0.05))["effect"].values[0, :, 0]
    np.testing.assert_allclose(found["effect"], expected, rtol=1e-9)
    np.testing.assert_allclose(np.array(found["after"]) - found["before"], found["effect"], rtol=1e-9)
    batch = asked.take(slice(None))
    loss = task.loss(task.predict(task.parameters(), batch), batch).tolist()
    np.testing.assert_allclose(found["before"], loss, rtol=1e-9)
    assert found["converged"] is True
    kept = RunFolder.read(folder).load(found["name"])
    assert kept.sizes["removed"] == 1
    assert kept["removed"].values.tolist() == [found["name"]]
    assert kept["train"].values[kept["member"].values[0]].tolist() == ["t3", "t17"]
    assert (kept.attrs["kind"], kept.attrs["damping"]) == ("proximal", 0.05)


def test_progress_is_a_line_a_step(whence, made) -> None:
    name, folder = made()
    lines = whence("refit", folder, "--without", "t3", "--model", name).err.splitlines()
    steps = [line.split(maxsplit=3) for line in lines if line.startswith("progress ")]
    assert [int(done) for _, done, *_ in steps] == sorted(int(done) for _, done, *_ in steps)
    assert steps[0] == ["progress", "0", "3", "opening the run"]
    assert steps[-1] == ["progress", "3", "3", "done"]
    assert ["progress", "1", "3", "refitting without 1 examples: pass 1 over the data"] in steps


def test_the_same_removal_is_answered_from_the_run(whence, made, monkeypatch: pytest.MonkeyPatch) -> None:
    name, folder = made()
    first = whence("refit", folder, "--without", "t3,t17", "--model", name, "--format", "json")
    monkeypatch.setattr("whence.retraining.group.leave_group_out", None)
    for words in ("t17,t3", "t3, t17 ,t3", '["t17", "t3"]'):
        again = whence("refit", folder, "--without", words, "--format", "json")
        assert (again.code, again.out, again.err) == (0, first.out, "")


def test_a_damaged_answer_is_made_anew(whence, made) -> None:
    name, folder = made()
    first = json.loads(whence("refit", folder, "--without", "t3", "--model", name, "--format", "json").out)
    (folder / "results" / first["name"] / "effect.npy").write_bytes(b"")
    again = json.loads(whence("refit", folder, "--without", "t3", "--model", name, "--format", "json").out)
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


def test_words_and_tables(whence, made) -> None:
    name, folder = made()
    answer = whence("refit", folder, "--without", "t3,t17", "--model", name)
    assert answer.out.splitlines()[0] == "effect of the removal"
    assert "2 examples removed together; change in loss in nats." in answer.out
    assert "proximal refit, converged" in answer.out
    rows = list(csv.DictReader(io.StringIO(whence("refit", folder, "--without", "t3,t17", "--format", "csv").out)))
    assert [row["query"] for row in rows] == ["q3", "q7"]
    assert all(float(row["after"]) - float(row["before"]) == pytest.approx(float(row["effect"])) for row in rows)


def test_a_study_is_opened_by_its_own_code(whence, line: Path) -> None:
    answer = whence("refit", line, "--without", "A,B,p3", "--format", "json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["removed"] == ["p3", "A", "B"]
    points, _ = datasets.line()
    x, y = points.take(slice(None)).inputs[:, 0].numpy(), points.targets().numpy()
    kept = ~np.isin(points.ids, ["A", "B", "p3"])
    slope, intercept = np.polyfit(x[kept], y[kept], 1)
    np.testing.assert_allclose(found["after"], (slope * x + intercept - y) ** 2, rtol=1e-6, atol=1e-10)


def test_the_clusters_study_too(whence, tmp_path: Path) -> None:
    settings = Settings("tiny")
    with RunFolder.open(tmp_path / "run", {"study": "clusters", **settings.config}, kind="study"):
        opened = clusters.reopen(RunFolder.read(tmp_path / "run"), settings)
        (tmp_path / "run" / "kept").mkdir()  # a run that holds something is not forgotten
    ids = opened.train.ids[:3].tolist()
    found = json.loads(whence("refit", tmp_path / "run", "--without", ",".join(ids), "--format", "json").out)
    assert found["converged"]
    kept = ~np.isin(opened.train.ids, ids)
    fresh = clusters.trained(opened.train[kept], clusters.WEIGHT_DECAY)
    batch = opened.queries.take(slice(None))
    expected = fresh.loss(fresh.predict(fresh.parameters(), batch), batch)
    np.testing.assert_allclose(found["after"], expected.tolist(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--without", "t3,nobody"], "no training example ['nobody']; its ids are such as ['t0', 't1', 't2']"),
        (["--without", " , "], "no training example is named; write ids as in --without 3,17"),
        (["--without", "[3, "], "--without is no JSON list"),
        (["--without", ",".join(f"t{i}" for i in range(40))], "takes all training examples away; leave some in"),
        (["--without=-3"], "the run has no training example ['-3']"),
    ],
)
def test_impossible_removals(whence, made, words: list[str], message: str) -> None:
    name, folder = made()
    answer = whence("refit", folder, *words, "--model", name, "--format", "json")
    assert answer.code == 1
    assert message in answer.err.splitlines()[-1]
    assert answer.out == ""
    assert [path.name for path in (folder / "results").iterdir()] == ["scores"]
    assert not (folder / "run.lock").exists()


def test_code_that_a_run_names_is_not_imported(whence, made, monkeypatch: pytest.MonkeyPatch) -> None:
    name, folder = made()
    module = name.split(":")[0]
    monkeypatch.delitem(sys.modules, module)
    answer = whence("refit", folder, "--without", "t3")
    assert answer.code == 1
    assert module not in sys.modules
    assert "name it by --model MODULE:FUNCTION" in answer.err


def test_another_program_is_noticed(whence, made, program) -> None:
    name, folder = made()
    text = Path(f"{name.split(':')[0]}.py").read_text()
    changes = {("manual_seed(0)", "manual_seed(1)"): "model and train data", ("((x[:20]", "((x[:20] + 1"): "query data"}
    for (old, new), words in changes.items():
        answer = whence("refit", folder, "--without", "t3", "--model", f"{program(text.replace(old, new))}:task")
        assert answer.code == 1
        assert f"returns another {words} than this run is of" in answer.err


def test_a_method_without_damping_is_checked_at_the_default(whence, made) -> None:
    name, folder = made("--method", "gradient-dot")
    found = json.loads(whence("refit", folder, "--without", "t3", "--model", name, "--format", "json").out)
    assert RunFolder.read(folder).load(found["name"]).attrs["damping"] == Proximal().strength


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ({}, "run", "names no model; refit in Python"),
        ({"study": "nonsense"}, "study", "a study that this version does not know"),
        ({"study": ["line"]}, "study", "a study that this version does not know"),
        ({"study": "line", "size": "../..", "seed": 0}, "study", "settings that this version does not know"),
        ({"study": "line", "size": "tiny", "seed": "0"}, "study", "settings that this version does not know"),
        ({"study": "line", "size": "tiny", "seed": 0, "more": 1}, "study", "settings that this version does not know"),
        ({"study": "digits", "size": "tiny", "seed": 0}, "study", "holds no trained network yet"),
    ],
)
def test_runs_without_what_it_takes(whence, tmp_path: Path, config: dict[str, Any], kind: str, message: str) -> None:
    with RunFolder.open(tmp_path / "run", config, kind=kind) as run:
        run.shelf("some").put("thing", {"a": np.zeros(1)})
    answer = whence("refit", tmp_path / "run", "--without", "3")
    assert answer.code == 1
    assert message in answer.err
    assert not (tmp_path / "run" / "results").exists()


def test_a_study_that_does_not_offer_its_model(whence, study, tmp_path: Path) -> None:
    assert whence("study", "run", "fake", "--out", tmp_path / "run").code == 0
    answer = whence("refit", tmp_path / "run", "--without", "3")
    assert "does not offer its model again" in answer.err


def test_a_study_takes_no_model(whence, line: Path) -> None:
    answer = whence("refit", line, "--without", "A", "--model", "os:getcwd")
    assert answer.code == 1
    assert "leave --model out" in answer.err


def test_a_folder_that_is_no_run_or_in_use(whence, tmp_path: Path, line: Path) -> None:
    assert "no run" in whence("refit", tmp_path, "--without", "3").err
    with RunFolder.open(line, RunFolder.read(line).config, kind="study"):
        answer = whence("refit", line, "--without", "A")
    assert answer.code == 1
    assert "in use" in answer.err


def test_ids_from_standard_input(whence, line: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('["A", "p3"]'))
    found = json.loads(whence("refit", line, "--without", "-", "--format", "json").out)
    assert found["removed"] == ["p3", "A"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(whence, program, number: signal.Signals) -> None:
    name, waits = program(), Path("waits")
    Path(f"{name}.py").write_text(SLOW.format(waits="__import__('os').path.exists('waits')"))
    assert whence("attribute", f"{name}:task", "--method", "loss", "--queries", "0,1", "--out", "run").code == 0
    waits.touch()
    words = [sys.executable, "-m", "whence.cli.app", "refit", "run", "--without", "3,4", "--model", f"{name}:task"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        for line in process.stderr:
            if "opening" in line:
                break
        time.sleep(0.3)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert out == ""
    assert sorted(path.name for path in Path("run").iterdir() if path.name.startswith((".", "run."))) == ["run.json"]
    assert [path.name for path in Path("run/results").iterdir()] == ["scores"]


def test_ended_while_a_result_is_written(whence, made, monkeypatch: pytest.MonkeyPatch) -> None:
    name, folder = made()
    before = signal.getsignal(signal.SIGTERM)
    write = RunFolder.save

    def killed(self: RunFolder, key: str, data: Any) -> Path:
        monkeypatch.setattr("whence.files.digest", lambda path: os.kill(os.getpid(), signal.SIGTERM))
        return write(self, key, data)

    monkeypatch.setattr(RunFolder, "save", killed)
    answer = whence("refit", folder, "--without", "t3", "--model", name)
    assert answer.code == 130
    assert [path.name for path in (folder / "results").iterdir()] == ["scores"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("3,17", ("17", "3")),
        (" 3 ,\n17,3", ("17", "3")),
        ("[3, 17]", ("17", "3")),
        ('["a,b", " c "]', (" c ", "a,b")),
        ('["-x"]', ("-x",)),
    ],
)
def test_ids_in_words(words: str, ids: tuple[str, ...]) -> None:
    assert Removal.read(words).ids == ids


def test_numbers_that_are_not_finite_are_null(whence, made) -> None:
    name, folder = made()
    key = json.loads(whence("refit", folder, "--without", "t3", "--model", name, "--format", "json").out)["name"]
    truth = RunFolder.read(folder).load(key)
    truth["effect"] = truth["effect"] * np.nan
    found = removal.record(key, truth)
    assert found["effect"] == found["after"] == [None, None]
    assert None not in found["before"]

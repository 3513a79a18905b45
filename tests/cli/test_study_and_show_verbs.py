"""``whence study`` and ``whence show``: run, go on, show again in three forms, and refuse what is no run."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whence.execution import RunFolder
from whence.studies import catalogue

pytestmark = pytest.mark.usefixtures("study")
REAL = dict(catalogue.STUDIES)


@pytest.fixture
def run(whence, tmp_path: Path) -> Path:
    assert whence("study", "run", "fake", "--out", tmp_path / "run", "--seed", 4).code == 0
    return tmp_path / "run"


def test_the_list(whence) -> None:
    answer = whence("study", "list")
    assert (answer.code, answer.out, answer.err) == (0, "fake  takes no time\n", "")


@pytest.mark.parametrize("name", REAL)
def test_the_catalogue_tells_the_truth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, summary = REAL[name]
    monkeypatch.setattr(catalogue, "STUDIES", REAL)
    assert (catalogue.find(name).name, catalogue.find(name).summary) == (name, summary)


def test_a_study_is_run_recorded_and_shown(whence, tmp_path: Path) -> None:
    words = ["--size", "tiny", "--seed", 7, "--jobs", 2]
    answer = whence("study", "run", "fake", "--out", tmp_path / "run", *words)
    assert answer.code == 0
    assert answer.err == "what a study prints is no result\n"
    assert answer.out.splitlines() == [
        "values",
        "name  value       r",
        "=a        7  0.1235",
        "b         8       -",
        "c         9       1",
        "",
        "none",
        "(no rows)",
        "",
        r"The sum is \x1b[31mred\x1b[0m.",
        "",
        "figures:",
        str(tmp_path / "run" / "figures" / "one.png"),
    ]
    record = RunFolder.read(tmp_path / "run")
    assert record.config == {"study": "fake", "size": "tiny", "seed": 7}
    assert record.about["kind"] == "study"
    assert not (tmp_path / "run" / "run.lock").exists()
    shown = whence("show", tmp_path / "run")
    assert (shown.code, shown.out, shown.err) == (0, answer.out, "")


def test_running_again_goes_on(whence, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "pieces").iterdir()}
    first = whence("show", run)
    again = whence("study", "run", "fake", "--out", run, "--seed", 4, "--jobs", 3)
    assert (again.code, again.out) == (0, first.out)
    assert {path: path.stat().st_mtime_ns for path in (run / "pieces").iterdir()} == before


@pytest.mark.parametrize("verb", ["show", "study"])
def test_json_is_valid_and_alone(whence, run: Path, verb: str) -> None:
    words = ["show", run] if verb == "show" else ["study", "run", "fake", "--seed", 4, "--out", run]
    found = json.loads(whence(*words, "--format", "json").out)
    assert found.keys() == {"run", "study", "tables", "sentences", "figures", "facts"}
    assert found["run"] == str(run)
    assert found["tables"]["values"][:2] == [
        {"name": "=a", "value": 4, "r": 0.123456},
        {"name": "b", "value": 5, "r": None},
    ]
    assert found["figures"] == ["figures/one.png"]


def test_csv_of_several_tables_has_titles(whence, run: Path) -> None:
    text = whence("show", run, "--format", "csv").out
    assert text == "# values\nname,value,r\n'=a,4,0.123456\nb,5,\nc,6,1.0\n\n# none\n\n"


def test_csv_of_one_table_is_csv(whence, run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    del report["tables"]["none"]
    (run / "report.json").write_text(json.dumps(report))
    rows = list(csv.DictReader(whence("show", run, "--format", "csv").out.splitlines()))
    assert [row["value"] for row in rows] == ["4", "5", "6"]


def test_a_terminal_gets_a_frame_and_no_markup(run: Path) -> None:
    pty = pytest.importorskip("pty")
    report = json.loads((run / "report.json").read_text())
    report["tables"]["values"][0]["name"] = "[red]x[/red]\x1b]0;title\x07"
    (run / "report.json").write_text(json.dumps(report))
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "whence.cli.app", "show", run]
    env = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen(
        command, stdout=writer, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=env
    ) as child:
        os.close(writer)
        text = b""
        try:
            while piece := os.read(reader, 65536):
                text += piece
        except OSError:  # the other end is closed
            pass
    os.close(reader)
    assert child.returncode == 0
    assert "│" in text.decode()
    assert b"[red]x[/red]" in text
    assert b"\x1b]0;title" not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [("fkae", "there is no study 'fkae'; did you mean 'fake'? choose one of fake"), ("x", "choose one of fake")],
)
def test_an_unknown_study(whence, tmp_path: Path, name: str, message: str) -> None:
    answer = whence("study", "run", name, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_configuration(whence, run: Path) -> None:
    answer = whence("study", "run", "fake", "--out", run, "--seed", 5)
    assert answer.code == 1
    assert "config.seed: 4 -> 5" in answer.err
    assert "use another folder, or the same configuration" in answer.err


def test_a_folder_that_is_in_use(whence, run: Path) -> None:
    with RunFolder.open(run, {"study": "fake", "size": "standard", "seed": 4}, kind="study"):
        answer = whence("study", "run", "fake", "--out", run, "--seed", 4)
        assert whence("show", run).code == 0
    assert answer.code == 1
    assert f"is in use by pid {os.getpid()}" in answer.err
    assert answer.err.strip().endswith("wait for it, or use RunFolder.read")


@pytest.mark.parametrize("words", [["show"], ["study", "run", "fake", "--seed", "4", "--out"]])
def test_a_truncated_record(whence, run: Path, words: list[str]) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text[:40])
    answer = whence(*words, run)
    assert (answer.code, answer.out) == (1, "")
    assert "truncated" in answer.err
    assert "start again in another folder" in answer.err


def test_a_folder_that_is_no_run(whence, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("my work")
    answer = whence("study", "run", "fake", "--out", tmp_path)
    assert answer.code == 1
    assert "choose a new or empty folder" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "thesis.tex"):
        answer = whence("show", folder)
        assert answer.code == 1
        assert "holds no run" in answer.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no report yet, its study is not finished; give its command again"),
        ("{", "truncated or not JSON"),
        ("[]", "is no report; run the same command again"),
        ('{"study": "fake"}', "is no report; run the same command again"),
        ('{"study": "x", "tables": {"t": 5}, "sentences": [], "figures": [], "facts": {}}', "is no report"),
        ('{"study": "x", "tables": {}, "sentences": 5, "figures": [], "facts": {}}', "is no report"),
    ],
)
def test_a_report_that_is_missing_or_damaged(whence, run: Path, text: str | None, message: str) -> None:
    (run / "report.json").unlink()
    if text is not None:
        (run / "report.json").write_text(text)
    answer = whence("show", run)
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err


def test_a_full_disk(whence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = whence("study", "run", "fake", "--out", tmp_path / "run")
    assert answer.code == 1
    assert answer.err == (
        "error: the disk is full; free some space and give the same command again, what is finished is kept\n"
    )
    assert whence("study", "run", "fake", "--out", tmp_path / "run").code == 0

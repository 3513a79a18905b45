"""The roof: help is quick and light, errors are one line, and exit codes say what happened."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from whence.cli import app, errors
from whence.cli.verbs import study as study_verb
from whence.execution import WorkerError

HEAVY = ("torch", "sklearn", "matplotlib", "pandas", "xarray", "numpy", "scipy", "joblib")


@pytest.mark.parametrize(
    "words", [["--help"], [], ["study", "list"], ["study", "run", "--help"], ["attribute", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from whence.cli.app import main; code = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert done.stdout.strip()


def test_help_is_quick() -> None:
    walls = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "whence.cli.app", "--help"], capture_output=True, check=True)
        walls.append(time.perf_counter() - began)
    assert b"attribute" in done.stdout
    assert min(walls) < 1.5


def test_the_verbs_are_listed(whence) -> None:
    answer = whence("--help")
    assert answer.code == 0
    for word in ("attribute", "study", "show", "data", "--debug", "Exit codes"):
        assert word in answer.out


def test_the_version(whence) -> None:
    assert whence("--version").out.strip().count(".") >= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "fly"),
        (["study", "run", "digits"], "--out"),
        (["study", "run", "digits", "--out", "x", "--size", "huge"], "huge"),
        (["study", "run", "digits", "--out", "x", "--jobs", "0"], "--jobs"),
        (["study", "run", "digits", "--out", "x", "--seed", "many"], "many"),
        (["study", "run", "digits", "--out", "x", "--sede", "1"], "--sede"),
        (["show"], "FOLDER"),
        (["show", "x", "--format", "pdf"], "pdf"),
        (["attribute", "a:b", "--method", "guess", "--queries", "1", "--out", "x"], "guess"),
        (["attribute", "a:b", "--method", "loss", "--queries", "1", "--out", "x", "--top", "0"], "--top"),
    ],
)
def test_wrong_usage_is_exit_code_2(whence, words: list[str], message: str) -> None:
    answer = whence(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
    assert "--help" in answer.err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\n  second; mend it"), "first second; mend it"),
        (ValueError("\x1b[31mred"), r"\x1b[31mred"),
        (ValueError(), "ValueError (--debug shows where)"),
        (KeyError("no query has the id 5"), "no query has the id 5"),
        (KeyError("solver"), "KeyError: 'solver' (--debug shows where)"),
        (KeyError(), "KeyError: '' (--debug shows where)"),
        (TypeError("a task is needed"), "a task is needed (--debug shows where)"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.npy"), "x.npy: No such file; check the path and its perm"),
        (OSError(errno.ENOSPC, "No space left", "x.npy"), "x.npy: the disk is full; free some space and give the same"),
        (OSError("in our own words"), "in our own words"),
        (ImportError("no torch"), "no torch"),
        (WorkerError("workers were killed; use fewer jobs"), "workers were killed; use fewer jobs"),
    ],
)
@pytest.mark.parametrize("debug", ["", "flag", "environment"])
def test_expected_errors_are_one_line(
    whence, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str, debug: str
) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr(study_verb.catalogue, "find", broken)
    if debug == "environment":
        monkeypatch.setenv("WHENCE_DEBUG", "1")
    answer = whence("study", "run", "x", "--out", "y", *(["--debug"] if debug == "flag" else []))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[-1].startswith(f"error: {line}")
    assert ("Traceback" in answer.err) == bool(debug)
    assert debug or answer.err.count("\n") == 1


def test_a_defect_is_not_hidden(whence, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(study_verb.catalogue, "find", broken)
    with pytest.raises(ZeroDivisionError):
        whence("study", "run", "x", "--out", "y")


def test_warnings_are_one_line_on_stderr(whence, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> None:
        warnings.warn("did not\nconverge", RuntimeWarning, stacklevel=2)

    monkeypatch.setattr(study_verb.catalogue, "STUDIES", {"x": ("y", "z")})
    monkeypatch.setattr(app.study.app["list"], "default_command", warn)
    before = warnings.showwarning
    assert whence("study", "list").err == "warning: did not converge\n"
    assert warnings.showwarning is before


def test_system_errors_without_a_name() -> None:
    assert errors.in_words(OSError(errno.EACCES, "Permission denied")).startswith("Permission denied; check")


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ndef load():\n    print('ready', flush=True)\n    time.sleep(60)\n")
    words = ["attribute", "slow:load", "--method", "loss", "--queries", "wrong", "--out", "run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    child = subprocess.Popen([sys.executable, "-m", "whence.cli.app", *words], **pipes)
    assert child.stderr.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert out == ""
    assert err == "error: interrupted; give the same command again to go on\n"


def test_a_reader_that_stops_is_no_traceback(tmp_path: Path) -> None:
    rows = [{"name": "x" * 50, "value": number} for number in range(20_000)]
    report = {"study": "s", "tables": {"t": rows}, "sentences": [], "figures": [], "facts": {}}
    code = "import sys; from whence.execution import RunFolder; RunFolder.open(sys.argv[1], {}).close()"
    subprocess.run([sys.executable, "-c", code, tmp_path / "run"], check=True)
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    child = subprocess.Popen(
        [sys.executable, "-m", "whence.cli.app", "show", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    with child:
        assert child.stdout.readline() == b"t\n"
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 1

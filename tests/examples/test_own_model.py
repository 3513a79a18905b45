"""A stranger's program: it runs, is short, and finds the labels that it made wrong."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "own_model.py"


def test_own_model_is_short() -> None:
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 25


def test_own_model_finds_the_wrong_labels() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("most harmful"))
    first = [int(word) for word in line.split("[")[1].rstrip("]").split(",")]
    assert set(first[:3]) == {3, 77, 140}

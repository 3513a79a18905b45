"""``whence evaluate``: the method card of a run, and every way in which that can be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from whence.cli import app
from whence.execution import RunFolder


@pytest.fixture
def made(whence, program) -> Callable[..., str]:
    """A program, and its run in the folder ``run``."""

    def make() -> str:
        name = f"{program()}:task"
        words = ["--method", "gradient-dot", "--queries", "q1,q2,q3", "--out", "run", "--no-exhibit"]
        answer = whence("attribute", name, *words)
        assert answer.code == 0, answer.err
        return name

    return make


def test_a_card_of_ones_own_program(whence, made) -> None:
    name = made()
    answer = whence("evaluate", "run", "--model", name, "--methods", "loss", "--effort", "quick", "--format", "json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["run"] == "run/card"
    assert found["tables"]["method card"][0]["method"] == "loss"
    assert found["facts"]["agreement with refits"][0]["n"] > 0
    assert found["figures"] == ["figures/removal-curves.png"]
    run = RunFolder.read(Path("run/card"))
    assert run.about["kind"] == "card"
    assert whence("show", "run/card").code == 0
    other = whence("evaluate", "run", "--model", name, "--methods", "loss")
    assert other.code == app.FAILED
    assert 'config.effort: "quick" -> "standard"' in other.err


def test_what_a_run_folder_names_is_never_imported(whence, made) -> None:
    made()
    answer = whence("evaluate", "run")
    assert answer.code == app.FAILED
    assert "name it by --model MODULE:FUNCTION" in answer.err
    assert not Path("run/card").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--methods", "magic"), "there is no method 'magic' on a card"),
        (("--wrong", "t99"), "the run has no training example ['t99']"),
        (("--effort", "huge"), "huge"),
    ],
)
def test_wishes_that_cannot_be_met_leave_nothing_behind(whence, made, words: tuple[str, ...], said: str) -> None:
    name = made()
    answer = whence("evaluate", "run", "--model", name, *words)
    assert answer.code in (app.FAILED, app.USAGE)
    assert said in answer.err
    assert not Path("run/card/results").exists()


def test_a_folder_that_is_no_run(whence, tmp_path: Path) -> None:
    answer = whence("evaluate", tmp_path)
    assert answer.code == app.FAILED
    assert "holds no run" in answer.err

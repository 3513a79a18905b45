"""``whence attribute``: a user's own model from its function to a table, and every way in which that can fail."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import whence as wh
from whence.cli import exhibits, methods
from whence.execution import RunFolder
from whence.exhibit import Exhibit
from whence.solvers.lissa import LiSSA

WORDS = ["--method", "influence", "--queries", "wrong", "--out", "run"]

HEAD = """
import numpy as np
from torch import nn
X, y = np.eye(4, 3), np.array([0, 1, 0, 1])
net = nn.Linear(3, 2).double()
"""


def given(**changes: object) -> list[object]:
    """Options of the command, some of them changed."""
    options = {"method": "influence", "queries": "q3,q7", "out": "run"} | changes
    return [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]


def test_the_tables_and_the_choices_agree() -> None:
    assert set(get_args(methods.MethodName)) == methods.METHODS.keys()
    assert set(get_args(methods.SolverName)) == methods.SOLVERS.keys()
    assert set(methods.SOLVING) <= methods.METHODS.keys()


def test_scores_are_kept_and_the_top_is_printed(whence, program, tmp_path: Path) -> None:
    name = program()
    answer = whence("attribute", f"{name}:task", *given(top=2, solver="dense", damping=0.05))
    assert answer.code == 0
    assert "influence for 2 queries and 40 training examples" in answer.err
    run = RunFolder.read(tmp_path / "run")
    scores = run.load("scores")
    assert scores["query"].values.tolist() == ["q3", "q7"]
    assert scores.sizes["train"] == 40
    assert scores.attrs["damping"] == 0.05
    sys.modules.pop(name)
    sys.path.insert(0, str(tmp_path))
    task, train, queries = __import__(name).task()
    direct = wh.InfluenceFunction(wh.Dense(), 0.05).fit(task, train).attribute(queries.select(["q3", "q7"]))
    np.testing.assert_allclose(scores.values, direct.values, rtol=1e-12)
    assert run.about["kind"] == "attribute"
    config = run.config
    assert (config["program"], config["method"], config["queries"]) == (f"{name}:task", "influence", "q3,q7")
    assert config["options"]["solver"]["class"] == "Dense"
    assert config["options"]["damping"] == 0.05
    assert config["model"] == scores.attrs["checkpoint"]
    assert config["train_data"].startswith("40 examples ")
    kept = list(csv.DictReader((tmp_path / "run" / "tables" / "top-examples.csv").read_text().splitlines()))
    assert len(kept) == 8
    assert kept[0].keys() >= {"query", "side", "rank", "train", "score", "train_label"}
    lines = answer.out.splitlines()
    assert lines[0] == "top examples"
    assert lines[1].split()[:4] == ["query", "side", "rank", "train"]
    assert "change in loss in nats; 2 queries, 40 training examples." in answer.out
    assert "positive = helpful" in answer.out
    assert "Solved by dense Cholesky, damping 0.05" in answer.out
    assert whence("show", "run").out == answer.out


def test_json_and_csv_are_alone_on_stdout(whence, program) -> None:
    name = program()
    words = ["attribute", f"{name}:module", "--method", "influence", "--queries", "0,1", "--out", "run", "--top", 3]
    answer = whence(*words, "--format", "json")
    found = json.loads(answer.out)
    assert len(found["tables"]["top examples"]) == 12
    assert {row["query"] for row in found["tables"]["top examples"]} == {0, 1}
    assert found["facts"]["solver"]["converged"] is True
    assert "hello from the program" in answer.err
    assert "taken as Classification(module), without penalty" in answer.err
    rows = list(csv.DictReader(io.StringIO(whence(*words, "--format", "csv").out)))
    assert [float(row["score"]) for row in rows] == [row["score"] for row in found["tables"]["top examples"]]


@pytest.mark.parametrize("method", [name for name in methods.METHODS if name != "influence"])
def test_every_method(whence, program, method: str) -> None:
    answer = whence("attribute", f"{program()}:task", *given(method=method, queries="wrong"), "--format", "json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["facts"]["method"] == methods.build(method).name
    assert found["tables"]["top examples"]


@pytest.mark.parametrize("solver", methods.SOLVERS)
def test_every_solver(whence, program, solver: str) -> None:
    answer = whence("attribute", f"{program()}:task", *given(solver=solver, damping=0.5, queries="q1"))
    assert answer.code == 0
    assert "damping 0.5" in answer.out


def test_wrong_means_misclassified(whence, program, tmp_path: Path) -> None:
    assert whence("attribute", f"{program()}:task", *given(queries="wrong", method="loss")).code == 0
    scores = RunFolder.read(tmp_path / "run").load("scores")
    assert 0 < scores.sizes["query"] < 20
    assert (scores["query_label"] != scores["query_prediction"]).all()


def test_a_finished_run_is_not_computed_again(whence, program, monkeypatch: pytest.MonkeyPatch) -> None:
    name = program()
    first = whence("attribute", f"{name}:task", *given(top=2))
    monkeypatch.setattr(methods, "METHODS", {})
    monkeypatch.setattr("whence.attribution.influence.InfluenceFunction.prepare", None)
    again = whence("attribute", f"{name}:task", *given(top=2))
    assert again.code == 1  # the table of methods is empty
    monkeypatch.setattr(methods, "METHODS", {"influence": "InfluenceFunction"})
    again = whence("attribute", f"{name}:task", *given(top=2))
    assert (again.code, again.out) == (0, first.out)
    more = whence("attribute", f"{name}:task", *given(top=3))
    assert more.out.count("q3") == first.out.count("q3") + 2


def test_another_configuration_model_or_data_set_is_refused(whence, program, tmp_path: Path) -> None:
    name = program()
    assert whence("attribute", f"{name}:task", *given(method="loss")).code == 0
    answer = whence("attribute", f"{name}:task", *given(method="gradient-norm"))
    assert answer.code == 1
    assert 'config.method: "loss" -> "gradient-norm"' in answer.err
    module = sys.modules[name]
    real = module.task
    module.task = lambda: (real()[0], real()[1][:39], real()[2])
    answer = whence("attribute", f"{name}:task", *given(method="loss"))
    assert answer.code == 1
    assert "config.train_data: " in answer.err
    assert "config.model" not in answer.err
    module.task = lambda: (other(real()[0]), *real()[1:])
    answer = whence("attribute", f"{name}:task", *given(method="loss"))
    assert "config.model: " in answer.err


def other(task: wh.Classification) -> wh.Classification:
    task.module.bias.data += 1.0
    return task


def test_several_processes_give_the_same(whence, program, tmp_path: Path) -> None:
    name = program()
    assert whence("attribute", f"{name}:task", *given(out="one")).code == 0
    assert whence("attribute", f"{name}:task", *given(out="two", jobs=2)).code == 0
    one, two = (RunFolder.read(tmp_path / out).load("scores") for out in ("one", "two"))
    np.testing.assert_allclose(one.values, two.values, rtol=1e-12)


def test_no_convergence_is_said(whence, program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods.whence, "LiSSA", partial(LiSSA, depth=3), raising=False)
    answer = whence("attribute", f"{program()}:task", *given(solver="lissa"))
    assert answer.code == 0
    assert "NOT CONVERGED for the queries ['q3', 'q7'] by LiSSA" in answer.out
    assert "warning: LiSSA did not converge" in answer.err
    assert "--solver dense" in answer.out


@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_a_damping_that_leaves_the_curvature_indefinite(whence, program, tmp_path: Path, solver: str) -> None:
    text = "def load(): return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double(), (X, y), (X, y)"
    name = program(HEAD + text)
    answer = whence("attribute", f"{name}:load", *given(damping=0, solver=solver, queries="0"))
    assert (answer.code, answer.out) == (1, "")
    line = answer.err.splitlines()[-1]
    assert line.startswith("error: the damped curvature is indefinite")
    assert "damping +=" in line
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run" / "run.lock").exists()
    # the remedy may be followed with the same folder
    assert whence("attribute", f"{name}:load", *given(damping=5, solver=solver, queries="0")).code == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": "q99"}, "no example has the id ['q99']"),
        ({"queries": ","}, "no query is named; write --queries wrong"),
        ({"queries": "q1,q1"}, "each example can be taken once"),
        ({"damping": "nan"}, "use plain finite values"),
        ({"damping": -1}, "damping must be"),
        ({"method": "loss", "damping": 0.1}, "solves no linear system; leave --damping out"),
        ({"method": "random", "solver": "cg", "damping": 1}, "leave --damping and --solver out"),
    ],
)
def test_impossible_options(whence, program, changes: dict[str, object], message: str) -> None:
    answer = whence("attribute", f"{program()}:task", *given(**changes))
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err.splitlines()[-1]


def test_ids_that_are_no_numbers(whence, program) -> None:
    answer = whence("attribute", f"{program()}:module", *given(queries="q1"))
    assert answer.code == 1
    assert "the queries' ids are whole numbers such as [0, 1, 2], not ['q1']" in answer.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("load", "write MODULE:FUNCTION"),
        (":load", "write MODULE:FUNCTION"),
        ("train:", "write MODULE:FUNCTION"),
        ("train.py:load", "write MODULE:FUNCTION"),
        ("code/train:load", "write MODULE:FUNCTION"),
        ("no_such_module:load", "there is no module 'no_such_module'; start whence in the folder that holds it"),
        ("no.such.module:load", "there is no module 'no.such.module'"),
        ("os:no_such_function", "os has no function 'no_such_function'"),
        ("os:sep", "os has no function 'sep'"),
    ],
)
def test_a_program_that_is_not_there(whence, program, name: str, message: str) -> None:
    answer = whence("attribute", name, *WORDS)
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_package", "needs the module 'no_such_package', which is not installed; install it"),
        ("from os import no_such_name", "raised ImportError: cannot import name 'no_such_name'"),
        ("def load(:", "raised SyntaxError"),
        ("1 / 0", "raised ZeroDivisionError: division by zero (--debug shows where)"),
        ("import sys; sys.exit(3)", "raised SystemExit: 3"),
        ("def load(): raise KeyError('weights')", "load() raised KeyError: 'weights' (--debug shows where)"),
        ("def load(): import sys; sys.exit()", "load() raised SystemExit"),
        ("def load(data): pass", "load() raised TypeError"),
        ("def load(): pass", "returned a NoneType; it must return (task or torch.nn.Module, training data, queries)"),
        ("def load(): return 1, 2", "returned 2 values; it must return"),
        ("def load(): return 1, (X, y), (X, y)", "returned a int as its model; it must return"),
        ("def load(): return net, 5, (X, y)", "the training data that program"),
        ("def load(): return net, (X, y), None", "the query data that program"),
        ("def load(): return net, (X, y[:2]), (X, y)", "columns of unequal length"),
        ("def load(): return net, (X * np.nan, y), (X, y)", "NaN or infinite features"),
        ("def load(): return net, (X, y), (X * np.nan, y)", "NaN or infinite features"),
        ("def load(): return net, (X, y + 5), (X, y)", "labels run from 5 to"),
        ("def load(): return net, (X, y), (X, y.astype(float))", "they must be class numbers"),
        ("def load(): return net, (X[:0], y[:0]), (X, y)", "training set of 0 examples"),
        ("def load(): return nn.Dropout(), (X, y), (X, y)", "no trainable parameter"),
    ],
)
def test_a_program_that_fails_or_returns_nonsense(whence, program, text: str, message: str) -> None:
    name = program(HEAD + text)
    answer = whence("attribute", f"{name}:load", *WORDS)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert message in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("change", ["regression", "right"])
def test_no_query_is_wrong(whence, program, change: str) -> None:
    text = """
        import numpy as np
        import whence as wh
        from torch import nn
        X, y = np.eye(4, 2), np.array([0, 1, 0, 0])
        net = nn.Linear(2, 2).double()
        net.weight.data[:] = 0
        net.bias.data[0] = 1
        def right():
            return net, (X, y), (X[2:], y[2:])
        def regression():
            return wh.Regression(nn.Linear(2, 1).double()), (X, X[:, 0]), (X, X[:, 0])
    """
    answer = whence("attribute", f"{program(text)}:{change}", *WORDS)
    assert (answer.code, answer.out) == (1, "")
    message = {"right": "gets all 2 queries right; name some", "regression": "only a classification can be wrong"}
    assert message[change] in answer.err
    assert "--queries ID,ID" in answer.err
    assert not Path("run").exists()


def test_a_folder_that_is_taken_is_refused_before_any_work(whence, program, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("my work")
    name = program("raise AssertionError('imported')")
    answer = whence("attribute", f"{name}:load", *given(out="taken"))
    assert answer.code == 1
    assert "choose a new or empty folder" in answer.err
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["thesis.tex"]


def test_as_a_process_of_its_own(program, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whence.cli.app", "attribute", f"{program()}:module", *WORDS, "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"]["top examples"]


def test_what_a_page_shows_is_kept_beside_the_scores(whence, program, tmp_path: Path) -> None:
    name = f"{program()}:task"
    assert whence("attribute", name, *given(method="leverage-corrected", damping=0.05)).code == 0
    found = Exhibit.read(RunFolder.read(tmp_path / "run"))
    assert found.problems == []
    assert (found.about["title"], found.about["kind"]) == (name, "features")
    assert found.about["refit"] == {"kind": "program", "damping": 0.05}
    assert found.columns("queries")["id"].tolist() == ["q3", "q7"]
    assert [one["name"] for one in found.about["maps"]] == ["pca input", "tsne input"]
    sys.modules.pop(name.split(":")[0])
    sys.path.insert(0, str(tmp_path))
    task, train, _ = __import__(name.split(":")[0]).task()
    expected = wh.ApproximateLeaveOneOut(wh.Dense(), 0.05).fit(task, train).self_influence()
    np.testing.assert_allclose(found.columns("train")["self_influence"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "solver", "column"),
    [("influence", "cg", True), ("influence", "dense", True), ("loss", None, False), ("gradient-dot", None, False)],
)
def test_self_influence_where_a_method_solves(whence, program, tmp_path, method: str, solver, column: bool) -> None:
    assert whence("attribute", f"{program()}:task", *given(method=method, solver=solver)).code == 0
    found = Exhibit.read(RunFolder.read(tmp_path / "run"))
    assert ("self_influence" in found.columns("train")) is column
    assert "disagreement" in found.columns("train")


def test_a_large_model_by_conjugate_gradients_has_none(whence, program, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exhibits, "SMALL", 7)
    assert whence("attribute", f"{program()}:task", *given(solver="cg")).code == 0
    assert "self_influence" not in Exhibit.read(RunFolder.read(tmp_path / "run")).columns("train")


def test_an_exhibit_that_cannot_be_made_is_a_warning(whence, program, tmp_path, monkeypatch) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError("odd data")

    monkeypatch.setattr(exhibits, "exhibit", fail)
    answer = whence("attribute", f"{program()}:task", *given())
    assert answer.code == 0
    assert (
        "warning: the scores are kept, but not what a page shows beside them (ZeroDivisionError: odd data)"
        in answer.err
    )
    assert answer.out.startswith("top examples")
    assert RunFolder.read(tmp_path / "run").load("scores").sizes["query"] == 2


def test_a_run_without_an_exhibit_if_so_asked(whence, program, tmp_path) -> None:
    name = f"{program()}:task"
    assert whence("attribute", name, *given(), "--no-exhibit").code == 0
    assert not (tmp_path / "run" / "exhibit").exists()
    assert whence("attribute", name, *given()).code == 0  # and the same command later adds it
    assert (tmp_path / "run" / "exhibit" / "about.json").exists()


def test_the_strongest_are_verified_at_the_automatic_damping(whence, program, tmp_path: Path) -> None:
    name = program()
    words = given(solver="dense", damping="auto", verify=2)
    answer = whence("attribute", f"{name}:task", *words, "--no-exhibit", "--format", "json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    rows = found["tables"]["verified by refits"]
    assert [row["query"] for row in rows] == ["q3", "q3", "q7", "q7"]
    assert all(row["converged"] for row in rows)
    scores = RunFolder.read(tmp_path / "run").load("scores")
    damping = scores.attrs["damping"]
    assert scores.attrs["notes"]["automatic_damping"]["value"] == damping
    assert any("the 2 largest |score| of each query" in line for line in found["sentences"])
    assert any(line.startswith("Damping: λ_min = ") for line in found["sentences"])
    # what looks at the run later takes the damping that was found, not that of the word
    if damping > 0:
        refit = whence("refit", "run", "--without", "t3", "--model", f"{name}:task", "--format", "json")
        kept = RunFolder.read(tmp_path / "run").load(json.loads(refit.out)["name"])
        assert kept.attrs["damping"] == damping
    other = whence("attribute", f"{name}:task", *given(solver="dense", damping="auto"), "--no-exhibit")
    assert "config.verify: 2 -> (absent)" in other.err


@pytest.mark.parametrize("words", [{"damping": "magic"}, {"verify": 0}])
def test_other_words_for_damping_and_no_refits_are_wrong_usage(whence, program, words: dict[str, object]) -> None:
    answer = whence("attribute", f"{program()}:task", *given(**words))
    assert answer.code == 2

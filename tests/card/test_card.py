"""The method card: its numbers are those of the library's own functions, what is done is kept, failures are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import whence as wh
from problems import problem
from whence.card import lineup, scored, truths
from whence.card.flipped import Wrong, wrong_labels
from whence.card.plan import EFFORTS, Plan
from whence.card.write import Model, write_card
from whence.evaluation import agreement, class_detection, linear_datamodeling, summary
from whence.execution.store import RunFolder
from whence.mapping import SerialMapper
from whence.retraining import Converged, Proximal, retrain_on_subsets
from whence.retraining.leave_out import leave_out
from whence.studies.study import Report

PLAN = Plan(4, 2, 12, 12, (1, 5), 2, 2, 1, steps=150, folds=2, top=5)
NAMES = ("influence", "similarity", "loss")


def model(**changes: Any) -> Model:
    p = problem("logistic-3", count=60)
    given: dict[str, Any] = {"task": p.task, "train": p.train, "queries": p.queries, "refit": Proximal(0.05)}
    return Model(**(given | changes))


def write(folder: Path, judged: Model, plan: Plan = PLAN, names: Any = NAMES) -> Report:
    with RunFolder.open(folder, {**judged.config, "plan": plan.config}, kind="card") as run:
        return write_card(run, judged, plan, SerialMapper(), lambda text: None, names)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("cards") / "card"
    return folder, write(folder, model())


def test_every_method_has_a_line_with_all_that_is_known_of_it(made: tuple[Path, Report]) -> None:
    table = made[1].tables["method card"].set_index("method")
    assert set(NAMES) <= set(table.index)
    everything = ["Pearson, named", "Spearman, random", "LDS", "removal above random", "same class", "drawn anew"]
    assert {*everything, "wrong labels", "fit s", "queries s", "MB"} <= set(table.columns)
    assert all(table.loc["influence", column] != "–" for column in table.columns)
    assert table.loc["loss", "Pearson, named"] == "–", "another quantity is compared by rank"
    assert float(table.loc["influence", "MB"]) > 50


def test_numbers_are_those_of_the_library(made: tuple[Path, Report]) -> None:
    folder, report = made
    judged, run = model(), RunFolder.read(folder)
    queries = run.load("truth")["query"].values
    asked = judged.queries.select(queries)
    assert len(asked) == PLAN.queries
    method = wh.InfluenceFunction(wh.Dense(), 0.05)
    scores = method.fit(judged.task, judged.train).attribute(asked)
    truth = run.load("truth")
    direct = leave_out(judged.task, judged.train, asked, truth["removed"].values, judged.refit)
    np.testing.assert_allclose(truth["effect"], direct["effect"], rtol=1e-6, atol=1e-10)
    expected = summary(agreement(scores, truth))
    rows = [row for row in report.facts["agreement with refits"] if row["method"] == "influence"]
    for row, mine in zip(rows, expected.to_dict("records"), strict=True):
        assert (row["sample"], row["n"]) == (mine["sample"], mine["n"])
        assert row["median_pearson"] == pytest.approx(mine["median_pearson"], rel=1e-6)
    subsets = retrain_on_subsets(judged.task, judged.train, asked, judged.refit, count=12)
    lds = linear_datamodeling(scores, subsets)["lds"][0]
    found = [row for row in report.facts["linear datamodeling score"] if row["method"] == "influence"]
    assert found[0]["lds"] == pytest.approx(lds, rel=1e-6)
    share = class_detection(scores, 5)["share"][0]
    assert next(r for r in report.facts["class detection"] if r["method"] == "influence")["share"] == share


def test_the_named_sample_is_symmetric_in_the_methods(made: tuple[Path, Report]) -> None:
    run = RunFolder.read(made[0])
    truth = run.load("truth")
    named = truth["chosen"].sel(sample="named by a method")
    judged = model()
    asked = judged.queries.select(truth["query"].values)
    methods = lineup.lineup(lineup.Subject(15, 60, 0.05), NAMES)[0]
    arrays = [method.fit(judged.task, judged.train).attribute(asked) for method in methods.values()]
    for query in truth["query"].values.tolist():
        expected: set[Any] = set()
        for array in arrays:
            one = array.sel(query=query).values
            size = one if array.attrs["sign"] == wh.Similarity().sign else np.abs(one)
            expected |= set(array["train"].values[np.argsort(-size, kind="stable")[:2]].tolist())
        assert set(truth["removed"].values[named.sel(query=query).values].tolist()) == expected


def test_correlations_are_told_with_n_interval_and_choice(made: tuple[Path, Report]) -> None:
    words = "\n".join(made[1].sentences)
    assert "proximal refits at damping 0.05" in words
    assert "medians over 4 queries with 95 % bootstrap intervals" in words
    assert "'random': n = 12 removals a query" in words
    assert "the 2 most influential for each query by every method together" in words
    assert "12 random subsets, each without 30 of 60 examples, drawn with seed 0" in words
    assert "n = 2 queries" in words
    assert "changed on purpose" in words
    assert "each method in a process of its own" in words


def test_what_is_done_is_not_done_again(made: tuple[Path, Report], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored, "isolated", lambda *given: pytest.fail("a process was started"))
    monkeypatch.setattr(Proximal, "refit", lambda *given: pytest.fail("a refit was made"))
    again = write(made[0], model())
    assert again.tables["method card"].equals(made[1].tables["method card"])
    assert Report.load(made[0]).sentences == made[1].sentences


def test_a_killed_card_goes_on(made: tuple[Path, Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    refit = Proximal.refit

    def tired(self: Proximal, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return refit(self, *given)

    monkeypatch.setattr(Proximal, "refit", tired)
    plan = Plan(2, 1, 6, 4, (1,), 1, 1, 1, steps=20, folds=2)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "card", model(), plan, ("loss",))
    before = len(calls)
    monkeypatch.setattr(scored, "isolated", lambda *given: pytest.fail("scores are kept"))
    with pytest.raises(pytest.fail.Exception, match="scores are kept"):  # the next step that needs a process
        write(tmp_path / "card", model(), plan, ("loss",))
    truth = RunFolder.read(tmp_path / "card").load("truth")
    everything = truth.sizes["removed"] + 4 + RunFolder.read(tmp_path / "card").load("truth-removals").sizes["removed"]
    assert len(calls) - before == everything - 7, "seven were kept"


def test_known_wrong_labels_are_taken_as_they_are(tmp_path: Path) -> None:
    judged = model()
    with RunFolder.open(tmp_path / "run", {}) as run:
        found = wrong_labels(run, judged.task, judged.train, [3, 7], PLAN, False, lambda text: None)
    assert isinstance(found, Wrong)
    assert found.task is judged.task
    assert found.flipped["train"].values[found.flipped.values].tolist() == [3, 7]
    assert found.probabilities is None
    assert found.flipped.attrs["chosen"] == "2 of 60 labels, known to be wrong"


def test_out_of_sample_probabilities_are_of_models_that_have_not_seen_the_example(tmp_path: Path) -> None:
    judged = model()
    with RunFolder.open(tmp_path / "run", {}) as run:
        found = wrong_labels(run, judged.task, judged.train, [], PLAN, True, lambda text: None)
        thetas = {key: np.array(run.shelf("trained").get(key)["theta"]) for key in run.shelf("trained").done()}
    assert isinstance(found, Wrong)
    assert found.flipped.values.sum() == 6
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities.sum("class"), 1)
    fold = np.random.default_rng(0).permutation(60) % 2
    batch = found.examples.take(slice(None))
    for number in (0, 1):
        theta = torch.from_numpy(thetas[f"fold {number}"])
        expected = judged.task.predict(theta, batch).softmax(1).numpy()
        np.testing.assert_allclose(found.probabilities.values[fold == number], expected[fold == number], rtol=1e-6)
    assert "true class of" in found.words


def test_regressions_and_methods_that_cannot_say_why(tmp_path: Path) -> None:
    p = problem("ridge", count=40)
    plan = Plan(3, 1, 6, 4, (1,), 1, 1, 1, steps=20, folds=2)
    judged = Model(p.task, p.train, p.queries, Converged(stationary=1e-4))
    report = write(tmp_path / "card", judged, plan, ("influence", "trak"))
    words = "\n".join(report.sentences)
    assert "Wrong labels: not judged; a label can only be wrong in a classification." in words
    assert "trak is left out: a projection of 5 parameters and 40 examples would have fewer than 8" in words
    table = report.tables["method card"]
    assert table["method"].tolist() == ["influence", "loss"], "the largest loss is a baseline of removal"
    assert "same class" not in table


def test_a_method_that_fails_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = wh.InfluenceFunction(wh.ConjugateGradient(max_iterations=1), damping=0.05, curvature="no such")  # type: ignore[arg-type]
    monkeypatch.setitem(lineup.METHODS, "influence", lambda subject: bad)
    plan = Plan(2, 1, 6, 4, (1,), 1, 1, 1, steps=20, folds=2)
    report = write(tmp_path / "card", model(), plan, ("influence", "loss"))
    assert "influence" not in set(report.tables["method card"]["method"])
    assert any(line.startswith("influence is left out: ValueError: curvature must be") for line in report.sentences)
    with pytest.raises(ValueError, match=r"no method could score this model \(influence: ValueError"):
        write(tmp_path / "none", model(), plan, ("influence",))


def test_settings_follow_the_model() -> None:
    small, large = lineup.Subject(500, 1000, 0.1), lineup.Subject(200_000, 1000, 0.1)
    methods, out = lineup.lineup(small)
    assert set(methods) == set(lineup.METHODS)
    assert out == {}
    assert methods["influence"] == wh.InfluenceFunction(wh.Dense(), 0.1)
    assert lineup.lineup(lineup.Subject(500, 1000, 0.0))[0]["influence"] == wh.InfluenceFunction(wh.Eigen(), 0.0)
    methods, out = lineup.lineup(large)
    assert isinstance(methods["influence"].solver, wh.ConjugateGradient)  # type: ignore[attr-defined]
    assert "leverage-corrected" in out
    assert methods["trak"].dimension == 250  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no method 'magic' on a card"):
        lineup.lineup(small, ["magic"])
    assert (lineup.damping_of(Proximal(0.3)), lineup.damping_of(Converged())) == (0.3, 0.0)


def test_another_model_is_another_card(tmp_path: Path) -> None:
    judged = model()
    other = wh.Classification(nn.Linear(4, 3).double(), weight_decay=0.05)
    assert judged.config != model(task=other).config
    assert judged.config != model(refit=Proximal(0.1)).config
    assert judged.config != model(wrong=[3]).config
    assert judged.config == model().config


def test_efforts_and_random_scores_name_nobody() -> None:
    assert EFFORTS["quick"].queries < EFFORTS["standard"].queries
    p = problem("logistic-3", count=60)
    scores = {"random": wh.Random().fit(p.task, p.train).attribute(p.queries)}
    assert truths.pooled(scores, PLAN)["sample"].values.tolist() == ["random"]

"""Writing an exhibit: what it says of examples, what it judges, and that a killed start goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from made_up import Given, images, numbers, texts, vectors

import whence as wh
from whence.evaluation import agreement
from whence.execution import RunError, RunFolder
from whence.exhibit import Choices, Exhibit, columns, exhibit, judged, neighbours, work
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal

HOSTILE = ["</script><img src=x onerror=alert(1)>", "=cmd()", "a,b", "..", "", "日本語", " "]


def influence(given: Given) -> Any:
    return wh.InfluenceFunction(wh.Dense(), 1.0, "gauss-newton").fit(given.task, given.train)


def test_what_the_model_says(shown) -> None:
    given = images(ids=[f"n{i}" for i in range(36)], classes=("a", "b", "c"))
    found = shown(given, title="made up")
    for side, examples in (("train", given.train), ("queries", given.queries)):
        batch, said = examples.take(slice(None)), found.columns(side)
        output = given.task.predict(given.task.parameters(), batch).detach()
        assert said["id"].tolist() == examples.ids.tolist()
        assert said["label"].tolist() == batch.targets.tolist()
        assert said["prediction"].tolist() == output.argmax(1).tolist()
        np.testing.assert_allclose(said["confidence"], output.softmax(1).amax(1), rtol=1e-6)
        np.testing.assert_allclose(said["loss"], given.task.loss(output, batch), rtol=1e-6)
        assert (said["confidence"].dtype, said["loss"].dtype, said["label"].dtype) == ("float32", "float32", "int64")
    about = found.about
    assert (about["title"], about["task"], about["unit"]) == ("made up", "classification", "nats")
    assert about["classes"] == ["a", "b", "c"]
    assert about["refit"] is None
    assert found.problems == []


def test_columns_say_what_they_are(shown) -> None:
    given = images()
    found = shown(given, self_influence=influence(given).self_influence, refit="study", damping=1.0)
    said = found.columns("train")
    expected = influence(given).self_influence().values
    np.testing.assert_allclose(said["self_influence"], expected, rtol=1e-5)
    assert said["disagreement"].min() >= 0
    assert said["neighbours_label"].dtype == np.int64
    about = {one["name"]: one for one in found.about["columns"]}
    assert list(about) == ["self_influence", "disagreement", "neighbours_label"]
    assert about["self_influence"]["unit"] == "nats"
    assert "damping 1" in about["self_influence"]["note"]
    assert "cosine similarity in 2" in about["disagreement"]["note"]
    assert found.about["refit"] == {"kind": "study", "damping": 1.0}
    assert "self_influence" not in found.columns("queries")


def test_self_influence_is_laid_by_id(shown) -> None:
    given = vectors(ids=[f"n{i}" for i in range(36)])
    turned = influence(given).self_influence().isel(train=slice(None, None, -1))
    found = shown(given, self_influence=lambda: turned)
    np.testing.assert_allclose(found.columns("train")["self_influence"], turned.values[::-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "task", "unit"),
    [
        (numbers(), "regression", "squared target units"),
        (numbers(lambda module: wh.CustomTask(module, lambda o, b: (o[:, 0] - b.targets).abs())), "other", "loss"),
    ],
    ids=["regression", "custom"],
)
def test_tasks_without_classes(shown, given: Given, task: str, unit: str) -> None:
    found = shown(given, layers=None)
    assert found.problems == []
    assert found.about["notes"] == []
    assert (found.about["task"], found.about["unit"], found.about["classes"]) == (task, unit, None)
    assert set(found.columns("train")) == {"id", "label", "prediction", "loss"}
    assert found.columns("train")["label"].dtype == np.float64
    assert found.columns("queries")["prediction"].dtype == np.float64
    assert len(found.about["maps"]) == 2


def test_whole_numbers_of_a_regression_are_no_classes(shown) -> None:
    x, y = np.random.default_rng(0).normal(size=(9, 3)), np.arange(9)
    given = Given(numbers().task, wh.as_examples((x[:6], y[:6])), wh.as_examples((x[6:], y[6:])))
    assert shown(given).columns("train")["label"].dtype == np.float64


def test_classes_without_a_name_have_their_number(shown) -> None:
    assert shown(images()).about["classes"] == ["0", "1", "2"]
    assert shown(images(classes=("only",))).about["classes"] == ["only", "1", "2"]
    assert shown(images(classes=("a", "b", "c", "d"))).about["classes"] == ["a", "b", "c"]


def test_hostile_names_come_back_as_they_are(shown) -> None:
    ids = [f"{HOSTILE[i % 7]} {i}" for i in range(36)]
    found = shown(texts(ids=ids, classes=HOSTILE[:2]), title=HOSTILE[0])
    assert found.problems == []
    assert found.columns("train")["id"].tolist() == ids[:30]
    assert found.about["classes"] == HOSTILE[:2]
    assert found.about["title"] == HOSTILE[0]


def test_one_class_only(shown) -> None:
    given = vectors()
    mask = given.train.targets().numpy() == 1
    found = shown(Given(given.task, given.train[mask], given.queries))
    assert (found.columns("train")["disagreement"] == 0).all()
    assert (found.columns("train")["neighbours_label"] == 1).all()


def test_without_queries_the_rest_is_there(shown) -> None:
    given = vectors()
    found = shown(Given(given.task, given.train, given.queries[:0]), layers=None)
    assert found.columns("queries") == {}
    assert len(found.columns("train")["loss"]) == 30
    assert found.features("train", 0) is not None
    assert any("queries" in note for note in found.about["notes"])


def test_bad_data_are_an_error(shown) -> None:
    given = vectors()
    with pytest.raises(ValueError, match="a training set of 0 examples"):
        shown(Given(given.task, given.train[:0], given.queries))


def test_a_run_for_reading_only_is_refused(run: Callable[[], RunFolder]) -> None:
    given, folder = vectors(), run()
    with pytest.raises(RunError, match="open for reading only"):
        exhibit(RunFolder.read(folder.folder), given.task, given.train, given.queries)


def test_it_tells_what_it_does(run: Callable[[], RunFolder]) -> None:
    given, heard = vectors(), []
    exhibit(run(), given.task, given.train, given.queries, say=heard.append)
    assert heard[0] == "train: labels, predictions and losses"
    assert "tsne of 2 for 30 training examples" in heard
    assert heard[-1] == "agreement with the run's truths"


def test_a_long_search_for_neighbours_is_told_in_tenths(
    run: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MANY", 20)
    monkeypatch.setattr(neighbours, "NUMBERS", 30)
    given, heard = vectors(), []
    exhibit(run(), given.task, given.train, given.queries, Choices(layers=()), heard.append)
    said = [words for words in heard if "neighbours of" in words]
    assert len(said) == 10
    assert said[-1] == "neighbours of 30 of 30"


def test_a_killed_start_goes_on_and_a_finished_one_repeats_nothing(
    run: Callable[[], RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, folder, expected = images(), run(), run()
    choices = Choices("again", self_influence=influence(given).self_influence)
    exhibit(expected, given.task, given.train, given.queries, choices)
    steps: list[str] = []
    for stop in range(1, 9):
        heard: list[str] = []

        def say(text: str, heard: list[str] = heard, stop: int = stop) -> None:
            heard.append(text)
            if len(heard) == 2 and stop < 8:
                raise KeyboardInterrupt

        try:
            exhibit(folder, given.task, given.train, given.queries, choices, say)
        except KeyboardInterrupt:
            assert not (folder.folder / "exhibit" / "about.json").exists()
        steps.append(heard[0])
    assert len(set(steps)) == 8  # each start did one piece more
    monkeypatch.setattr(work.Work, "place", None)
    monkeypatch.setattr(neighbours, "nearest", None)
    monkeypatch.setattr(judged, "agreement", None)
    again = Choices("again", self_influence=lambda: pytest.fail("worked out twice"))
    exhibit(folder, given.task, given.train, given.queries, again)
    first, second = (Exhibit.read(RunFolder.read(one.folder)) for one in (folder, expected))
    assert first.about == second.about
    assert first.problems == []
    for side in ("train", "queries"):
        for name, array in second.columns(side).items():
            np.testing.assert_array_equal(first.columns(side)[name], array)


@pytest.fixture
def with_truths(run: Callable[[], RunFolder]) -> tuple[RunFolder, Given]:
    """A run with scores and refits: of one example, of three together, and of many."""
    given, folder = vectors(), run()
    scores = influence(given).attribute(given.queries)
    folder.save("influence", scores)
    folder.save("few-queries", scores.isel(query=[0, 2]))
    folder.save("few-examples", scores.isel(train=slice(0, 5)))
    folder.save("cosine", wh.Similarity("input").fit(given.task, given.train).attribute(given.queries))
    refit = Proximal(1.0)
    whole = leave_out(given.task, given.train, given.queries, given.train.ids[:12], refit)
    folder.save("truth", whole)
    folder.save("refit-one", leave_out(given.task, given.train, given.queries, {"refit-one": [1, 2, 3]}, refit))
    return folder, given


def test_agreement_is_that_of_the_library(with_truths: tuple[RunFolder, Given], shown) -> None:
    folder, given = with_truths
    found = shown(given, folder)
    rows = found.about["agreement"]
    assert {(row["scores"], row["truth"]) for row in rows} == {
        ("influence", "truth"),
        ("few-queries", "truth"),
        ("cosine", "truth"),
    }
    table = agreement(folder.load("influence"), folder.load("truth")).set_index("query")
    mine = [row for row in rows if row["scores"] == "influence"]
    assert [row["query"] for row in mine] == given.queries.ids.tolist()
    for row in mine:
        for name in judged.KEPT[:-1]:
            assert row[name] == pytest.approx(table.loc[row["query"], name])
        assert (row["n"], row["sample"], row["ceiling"], row["unconverged"]) == (12, "all", None, 0)
    by_rank = [row for row in rows if row["scores"] == "cosine"]
    assert all(row["pearson"] is None and row["spearman"] is not None for row in by_rank)
    assert len([row for row in rows if row["scores"] == "few-queries"]) == 2


def test_what_is_judged_already_is_looked_up(
    with_truths: tuple[RunFolder, Given], shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, given = with_truths
    before = shown(given, folder).about["agreement"]
    judge, asked = judged.agreement, []

    def counted(scores: xr.DataArray, *args: Any, **options: Any) -> Any:
        asked.append(scores.attrs["method"])
        return judge(scores, *args, **options)

    monkeypatch.setattr(judged, "agreement", counted)
    assert shown(given, folder).about["agreement"] == before
    assert asked == []
    folder.save("influence", 2 * folder.load("influence").assign_attrs(folder.load("influence").attrs))
    shown(given, folder)
    assert asked == ["influence"]


def test_a_damaged_result_or_about_does_not_stop_it(with_truths: tuple[RunFolder, Given], shown) -> None:
    folder, given = with_truths
    shown(given, folder)
    (folder.path("cosine") / "score.npy").write_bytes(b"")
    (folder.folder / "exhibit" / "about.json").write_text('{"format": "whence-exhib')
    found = shown(given, folder)
    assert found.problems == []
    assert {row["scores"] for row in found.about["agreement"]} == {"influence", "few-queries"}


def test_scores_that_are_no_numbers_are_null(with_truths: tuple[RunFolder, Given], shown) -> None:
    folder, given = with_truths
    scores = folder.load("influence").copy()
    scores.values = np.where(np.arange(30) < 6, np.nan, scores.values)
    folder.save("influence", scores)
    with pytest.warns(UserWarning, match="not finite"):
        rows = shown(given, folder).about["agreement"]
    assert all(row["pearson"] is None for row in rows if row["scores"] == "influence")


def test_the_model_of_the_user_is_left_as_it_was(shown) -> None:
    given = images()
    before = {name: value.clone() for name, value in given.task.module.state_dict().items()}
    shown(given, layers=None)
    for name, value in given.task.module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(not one._forward_hooks for one in given.task.module.modules())

"""The main job at its smallest size: it runs whole, resumes, and its predictions agree with the refits."""

import sys
from pathlib import Path

import numpy as np
import pytest

from whence.datasets import digits as digits_data
from whence.execution import RunFolder
from whence.exhibit import Exhibit
from whence.retraining.group import leave_group_out
from whence.studies import digits
from whence.studies.study import Report, Settings

CONFIG = {"study": "digits", "size": "tiny", "seed": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digits") / "run"


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    with RunFolder.open(folder, CONFIG, kind="study") as run:
        found = digits.STUDY.run(run, Settings(size="tiny"))
        found.save(run)
    return found


def test_predictions_agree_with_proximal_refits(report: Report) -> None:
    table = report.tables["agreement with refits"]
    whole = table[table["of"] == "all"].set_index(["method", "sample"])
    for sample in ("most influential", "random"):
        assert whole.loc[("influence", sample), "median_pearson"] >= 0.98
        assert whole.loc[("leverage-corrected", sample), "median_pearson"] >= 0.995
    assert report.facts["unconverged"] == 0
    assert report.facts["gradients_per_refit_median"] <= 12


def test_rank_methods_have_no_pearson(report: Report) -> None:
    table = report.appendix["agreement with refits, by query"]
    assert table[table["method"] == "loss"]["pearson"].isna().all()


def test_the_mistake_is_shown_with_actual_effects(report: Report) -> None:
    title = next(name for name in report.tables if "most helpful" in name)
    top = report.tables[title]
    assert set(top["side"]) == {"helpful", "harmful"}
    known = top.dropna(subset=["actual"])
    assert len(known) > 0
    assert (np.sign(known["actual"]) == np.sign(known["score"])).all()


def test_figures_lie_where_the_report_says(report: Report, folder: Path) -> None:
    assert len(report.figures) == 4
    assert all((folder / figure).stat().st_size > 1000 for figure in report.figures)


def test_a_second_run_repeats_no_refit(report: Report, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a finished refit was repeated")

    monkeypatch.setattr(sys.modules["whence.retraining.jobs"], "_refitted", refuse)
    with RunFolder.open(folder, CONFIG, kind="study") as run:
        again = digits.STUDY.run(run, Settings(size="tiny"))
    assert again.facts == report.facts


def test_its_page_shows_images_similarities_and_agreement(report: Report, folder: Path) -> None:
    run = RunFolder.read(folder)
    shown = Exhibit.read(run)
    assert shown.problems == []
    assert shown.pictures("train").shape == (300, 8, 8)
    images = digits_data(300)[0].take(slice(None)).inputs[:, 0].numpy()
    np.testing.assert_array_equal(shown.pictures("train"), np.rint(images * 255))
    maps = {one["name"] for one in shown.about["maps"]}
    assert maps == {f"{kind} {layer}" for kind in ("pca", "tsne") for layer in ("input", "h3_d")}
    judged = {row["scores"] for row in shown.about["agreement"] if row["pearson"] is not None}
    assert judged == {"influence", "leverage-corrected", "gauss-newton"}
    assert run.load("cosine-h3_d").attrs["quantity"] == "cosine similarity of h3_d"
    correct = shown.columns("train")["label"] == shown.columns("train")["prediction"]
    own = shown.columns("train")["self_influence"]
    assert correct.mean() > 0.9
    assert (own > 0).all()


def test_its_network_can_be_refitted(report: Report, folder: Path) -> None:
    with RunFolder.open(folder, CONFIG, kind="study") as run:
        opened = digits.reopen(run, Settings(size="tiny"))
    scores, truth = (RunFolder.read(folder).load(name) for name in ("influence", "truth-proximal-0.05"))
    removed = truth["removed"].values[:1].tolist()
    again = leave_group_out(opened.task, opened.train, opened.queries, {"one": removed}, opened.refit, lambda *_: None)
    np.testing.assert_allclose(again["effect"][0], truth["effect"].sel(removed=removed[0]), rtol=1e-6, atol=1e-12)
    pair = scores["train"].values[np.argsort(-abs(scores.values).max(0))[:2]].tolist()
    both = leave_group_out(opened.task, opened.train, opened.queries, {"two": pair}, opened.refit, lambda *_: None)
    predicted = scores.sel(train=pair).sum("train").values
    assert np.corrcoef(predicted, both["effect"].values[0, :, 0])[0, 1] > 0.95

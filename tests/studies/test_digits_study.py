"""The main job at its smallest size: it runs whole, resumes, and its predictions agree with the refits."""

import sys
from pathlib import Path

import numpy as np
import pytest

from whence.execution import RunFolder
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

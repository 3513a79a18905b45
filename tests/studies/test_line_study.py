"""The line study: leverage-corrected influence is the real refit, and the case statistics are statsmodels' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import OLSInfluence

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.datasets import line
from whence.examples import Examples
from whence.execution import RunFolder
from whence.exhibit import Exhibit
from whence.solvers.dense import Dense
from whence.studies.line import STUDY, diagnostics, fit
from whence.studies.study import Report, Settings

REMOVALS = "removal: distance from the real fits"


@pytest.fixture(scope="module", params=range(3))
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Report]]:
    settings = Settings(seed=request.param)
    with RunFolder.open(tmp_path_factory.mktemp("line") / "r", settings.config, kind="study") as run:
        yield request.param, STUDY.run(run, settings)


def test_corrected_influence_is_the_real_refit(outcome: tuple[int, Report]) -> None:
    errors = outcome[1].tables[REMOVALS].set_index(["by", "point"])
    corrected = errors.loc["leverage-corrected influence"]
    assert corrected[["parameter error", "loss error"]].to_numpy().max() < 1e-8
    assert errors.loc["converged refit", "loss error"].max() < 1e-8


def test_first_order_influence_is_not(outcome: tuple[int, Report]) -> None:
    first = outcome[1].tables[REMOVALS].set_index(["by", "point"]).loc["influence"]
    assert first.loc["B", "parameter error"] > 0.1
    assert first.loc["B", "loss error"] > 0.1 * first.loc["B", "largest loss change"]


def test_the_three_points_are_what_their_story_says(outcome: tuple[int, Report]) -> None:
    points = outcome[1].tables["the three points"].set_index("point")
    assert points["outlier"].to_dict() == {"A": True, "B": True, "C": False}
    assert points["high leverage"].to_dict() == {"A": False, "B": True, "C": True}
    assert points["influential"].to_dict() == {"A": False, "B": True, "C": False}
    moved = points["slope moved by it"].abs()
    assert moved["B"] > 5 * max(moved["A"], moved["C"])


def test_case_statistics_are_those_of_statsmodels(outcome: tuple[int, Report]) -> None:
    seed, report = outcome
    table = report.tables["the three points"].set_index("point")
    everything, special = line(seed)
    for name in special:
        judge = ols(everything.select([*everything.ids[:20], name]))
        expected = {
            "residual": judge.resid[-1],
            "leverage": judge.hat_matrix_diag[-1],
            "studentised residual": judge.resid_studentized_external[-1],
            "Cook's distance": judge.cooks_distance[0][-1],
            "DFFITS": judge.dffits[0][-1],
        }
        found = {key: float(table.loc[name, key]) for key in expected}
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_every_point_agrees_with_statsmodels_not_only_the_special_ones() -> None:
    everything, _ = line()
    whole = fit(everything)
    explainer = ApproximateLeaveOneOut(Dense(), damping=0.0).fit(whole.task, whole.data)
    changes = explainer.parameter_change(everything.ids).values
    mine = [diagnostics(whole, name, change) for name, change in zip(everything.ids, changes, strict=True)]
    judge = ols(everything)
    assert [one["Cook's distance"] for one in mine] == pytest.approx(judge.cooks_distance[0], rel=1e-8)
    assert [one["DFFITS"] for one in mine] == pytest.approx(judge.dffits[0], rel=1e-8)


def test_a_report_can_be_read_again_and_has_its_figure(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "r", {}, kind="study") as run:
        report = STUDY.run(run, Settings("tiny"))
        report.save(run)
    again = Report.load(tmp_path / "r")
    assert again.record == report.record
    assert (tmp_path / "r" / again.figures[0]).stat().st_size > 10_000
    assert "equals the real refits" in again.sentences[0]


def ols(data: Examples) -> OLSInfluence:
    x, y = data.take(slice(None)).inputs[:, 0].numpy(), data.targets().numpy()
    return OLSInfluence(sm.OLS(y, np.column_stack([np.ones_like(x), x])).fit())


def test_its_page_shows_the_fit_of_all_points(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "r", {}, kind="study") as run:
        STUDY.run(run, Settings("tiny"))
    shown = Exhibit.read(RunFolder.read(tmp_path / "r"))
    assert shown.problems == []
    assert (shown.about["task"], shown.about["kind"]) == ("regression", "features")
    assert shown.columns("train")["id"].tolist() == line()[0].ids.tolist()
    rows = [row for row in shown.about["agreement"] if row["scores"] == "leverage-corrected"]
    assert len(rows) == 23
    assert all(row["truth"] == "truth" and row["pearson"] > 1 - 1e-9 for row in rows)

"""The clusters study holds its bars: against complete refits of every training point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from whence.execution import RunFolder
from whence.exhibit import Exhibit
from whence.studies.clusters import CORRECTED, FIRST, STUDY
from whence.studies.study import Report, Settings

Run = tuple[Report, RunFolder]


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with RunFolder.open(tmp_path_factory.mktemp("clusters") / "r", {}, kind="study") as run:
        report = STUDY.run(run, Settings("standard"))
        report.save(run)
        yield report, run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with RunFolder.open(tmp_path_factory.mktemp("tiny") / "r", {}, kind="study") as run:
        yield STUDY.run(run, Settings("tiny")), run


@pytest.mark.slow
def test_corrected_influence_reaches_the_complete_refits_and_first_order_does_not(standard: Run) -> None:
    table = standard[0].tables["agreement with complete refits"].set_index("method")
    assert table.loc[CORRECTED, "n"] == 151
    assert table.loc[CORRECTED, "kind"] == "from_scratch"
    assert table.loc[CORRECTED, "unconverged"] == 0
    assert table.loc[CORRECTED, "pooled_pearson"] >= 0.999
    assert table.loc[CORRECTED, "median_pearson"] >= 0.999
    assert 0.9 < table.loc[FIRST, "pooled_pearson"] < 0.999
    assert 0.9 < table.loc[FIRST, "median_pearson"] < 0.999


@pytest.mark.slow
def test_the_outlier_is_the_most_influential_point_by_all(standard: Run) -> None:
    table = standard[0].tables["the outlier"].set_index("by")
    assert (table["rank"] == 1).all()
    assert (table["mean |effect|"] > table["largest of the others"]).all()
    assert table.loc["complete refits", "mean |effect|"] > 2 * table.loc["complete refits", "largest of the others"]
    assert table.loc[FIRST, "mean |effect|"] < table.loc["complete refits", "mean |effect|"]


@pytest.mark.slow
def test_on_the_outlier_the_correction_errs_a_tenth_of_first_order_at_most(standard: Run) -> None:
    report = standard[0]
    error = report.tables["the outlier"].set_index("by")["median error"]
    assert error[CORRECTED] <= 0.1 * error[FIRST]
    assert report.facts["outlier_error_ratio"] == pytest.approx(error[FIRST] / error[CORRECTED])


@pytest.mark.slow
def test_the_solvers_agree(standard: Run) -> None:
    table = standard[0].tables["solvers"].set_index("method")
    assert table["converged"].all()
    assert table.loc["influence-CG", "distance from direct"] < 1e-6
    assert table.loc["influence-LiSSA", "distance from direct"] < 0.05


@pytest.mark.slow
def test_the_complete_refits_are_not_stopping_noise(standard: Run) -> None:
    facts, (_, run) = standard[0].facts, standard
    assert facts["refit_gradient_norm_max"] < 1e-7
    assert facts["polished_difference_max"] < 1e-3 * float(abs(run.load("truth")["effect"]).max())


@pytest.mark.slow
def test_what_is_kept_is_what_is_reported(standard: Run) -> None:
    report, run = standard
    actual = run.load("truth")["effect"].mean("seed").rename(removed="train").transpose("query", "train")
    corrected = run.load(CORRECTED)
    pooled = np.corrcoef(corrected.values.ravel(), actual.sel(train=corrected["train"]).values.ravel())[0, 1]
    table = report.tables["agreement with complete refits"].set_index("method")
    assert pooled == pytest.approx(table.loc[CORRECTED, "pooled_pearson"])
    assert Report.load(Path(run.folder)).record == report.record
    for name in report.figures:
        assert (Path(run.folder) / name).stat().st_size > 10_000


def test_a_tiny_run_holds_the_bars_of_the_correction(tiny: Run) -> None:
    report = tiny[0]
    table = report.tables["agreement with complete refits"].set_index("method")
    assert min(table.loc[CORRECTED, ["pooled_pearson", "median_pearson"]]) >= 0.999
    outlier = report.tables["the outlier"].set_index("by")
    assert (outlier.loc[["complete refits", CORRECTED], "rank"] == 1).all()
    assert report.facts["outlier_error_ratio"] >= 10


def test_a_weaker_penalty_is_reported_too(tiny: Run) -> None:
    table = tiny[0].tables["what the penalty changes"]
    assert table["weight_decay"].tolist() == [1.2, 0.1, 0.01]
    corrected = table["pooled_pearson, leverage-corrected"]
    assert corrected[0] == corrected.max()
    assert (corrected > table["pooled_pearson, influence"]).all()


def test_a_second_run_and_two_jobs_give_the_same(tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, run = tiny
    with RunFolder.open(tmp_path / "r", {}, kind="study") as other:
        assert STUDY.run(other, Settings("tiny", jobs=2)).record == report.record

    def refuse(*arguments: object) -> None:
        raise AssertionError("a finished refit was repeated")

    monkeypatch.setattr("whence.retraining.from_scratch.FromScratch.refit", refuse)
    monkeypatch.setattr("whence.retraining.converged.Converged.refit", refuse)
    assert STUDY.run(run, Settings("tiny")).record == report.record


def test_its_page_has_maps_columns_and_agreement(tiny: Run) -> None:
    shown = Exhibit.read(tiny[1])
    assert shown.problems == []
    assert {one["name"] for one in shown.about["columns"]} == {"self_influence", "disagreement", "neighbours_label"}
    assert [one["name"] for one in shown.about["maps"]] == ["pca input", "tsne input"]
    assert {row["truth"] for row in shown.about["agreement"]} == {"truth"}
    assert shown.about["refit"] == {"kind": "study", "damping": 0.0}

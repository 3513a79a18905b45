"""The MNIST study at its smallest size: every stage runs, the report is whole, and a second run repeats nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from whence.datasets.errors import DataError
from whence.execution import RunFolder
from whence.exhibit import Exhibit
from whence.retraining.group import leave_group_out
from whence.studies.mnist import study, thesis
from whence.studies.mnist.data import VARIABLE
from whence.studies.mnist.plan import config_of
from whence.studies.study import Report, Settings

needs_mnist = pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"MNIST's files are not at hand: set {VARIABLE}")
SETTINGS = Settings(size="tiny", jobs=2)
NUMBERED = [
    *("Figure 3.1", "Figure 4.1", "Figure 4.2", "Table 4.1", "Table 4.2", "Table 4.3"),
    *(f"Figure 5.{number}" for number in range(1, 18)),
    *("Table 5.1", "Figure 5.18", "Figure 5.19", "Figure 5.20"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mnist") / "run"


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    with RunFolder.open(folder, {"study": "mnist", **config_of(SETTINGS)}, kind="study") as run:
        found = study.STUDY.run(run, SETTINGS)
        found.save(run)
    return found


@needs_mnist
@pytest.mark.timeout(600)
def test_every_figure_and_table_stands_in_the_thesis_order(report: Report) -> None:
    numbers = [section.number for section in report.sections if section.number]
    assert not set(NUMBERED) - set(numbers)
    assert [number for number in numbers if number in NUMBERED] == NUMBERED
    assert set(report.facts["seconds"]) == set(study.STAGES)


@needs_mnist
def test_every_section_has_words_or_pictures_and_its_files(report: Report, folder: Path) -> None:
    for section in report.sections:
        assert section.sentences or section.tables or section.figures
        for figure in section.figures:
            assert (folder / figure).stat().st_size > 1000
            assert (folder / figure).with_suffix(".svg").exists()


@needs_mnist
def test_no_sentence_says_nan(report: Report) -> None:
    words = " ".join(sentence for section in report.sections for sentence in section.sentences)
    assert not re.search(r"\bnan\b", words)


@needs_mnist
def test_leverage_corrected_influence_predicts_proximal_refits(report: Report) -> None:
    rows = [row for row in report.facts["agreement"] if row["kind"] == "proximal"]
    for method, least in (("leverage-corrected", 0.9), ("exact", 0.8)):
        found = [row["pearson"] for row in rows if row["method"] == method]
        assert len(found) == 4
        assert np.median(found) >= least
    assert report.facts["proximal"]["unconverged"] == 0


@needs_mnist
def test_conjugate_gradients_equal_the_exact_factor(report: Report) -> None:
    rows = {row["method"]: row for row in report.facts["influence"]}
    assert rows["conjugate-gradients"]["converged"]
    assert rows["conjugate-gradients"]["relative residual"] <= 1.5e-4
    assert rows["conjugate-gradients"]["Pearson to exact, least"] > 0.9999


@needs_mnist
def test_a_second_run_repeats_nothing(report: Report, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("a finished stage was repeated")

    monkeypatch.setattr(study, "carry_out", refuse)
    with RunFolder.open(folder, {"study": "mnist", **config_of(SETTINGS)}, kind="study") as run:
        again = study.STUDY.run(run, SETTINGS)
    assert [section.number for section in again.sections] == [section.number for section in report.sections]
    assert again.record["facts"] == report.record["facts"]


def test_without_data_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    settings = Settings(size="tiny", stage="training")
    with (
        RunFolder.open(tmp_path / "run", config_of(settings), kind="study") as run,
        pytest.raises(DataError, match="--data DIR"),
    ):
        study.STUDY.run(run, settings)


def test_quick_and_full_are_one_run_and_faithful_another() -> None:
    quick, full, faithful = (config_of(Settings(effort=effort)) for effort in ("quick", "full", "faithful"))
    assert quick == full
    assert quick != faithful


@pytest.mark.parametrize(
    ("interval", "printed", "words"),
    [
        ((0.1, 0.5), 0.3, ("inside our interval", "signs agree")),
        ((0.1, 0.5), 0.7, ("above our interval", "signs agree")),
        ((-0.5, -0.1), 0.05, ("above our interval", "signs differ")),
        ((-0.1, 0.2), -0.3, ("below our interval", "not told apart from 0")),
        ((np.nan, np.nan), 0.3, ("cannot be worked out", "+0.300")),
    ],
)
def test_the_sentence_beside_the_thesis_is_decided_by_the_interval(interval, printed, words) -> None:
    said = thesis.beside("metric", float(np.mean(interval)), interval, printed)
    assert all(word in said for word in words)


@needs_mnist
def test_its_page_shows_images_and_its_network_can_be_refitted(report: Report, folder: Path) -> None:
    shown = Exhibit.read(RunFolder.read(folder))
    assert shown.problems == []
    assert shown.pictures("train").shape == (200, 28, 28)
    assert report.facts["exhibit"]["maps"] == ["pca input", "tsne input", "pca logits", "tsne logits"]
    assert "self_influence" in report.facts["exhibit"]["columns"]
    assert {row["truth"] for row in shown.about["agreement"]} >= {"truth-proximal", "truth-all-queries"}
    with RunFolder.open(folder, {"study": "mnist", **config_of(SETTINGS)}, kind="study") as run:
        opened = study.reopen(run, SETTINGS)
        truth = run.load("truth-all-queries")
    removed = truth["removed"].values[:1].tolist()
    again = leave_group_out(opened.task, opened.train, opened.queries, {"one": removed}, opened.refit, lambda *_: None)
    np.testing.assert_allclose(again["effect"][0], truth["effect"].sel(removed=removed[0]), rtol=1e-3, atol=1e-7)

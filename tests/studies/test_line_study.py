"""The line study: corrected influence is the refit, and its diagnostics are statsmodels'."""

from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from whence.datasets import line
from whence.execution import RunFolder
from whence.studies.line import STUDY, fit
from whence.studies.study import Report, Settings


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("line") / "run"
    with RunFolder.open(folder, {"study": "line"}, kind="study") as run:
        found = STUDY.run(run, Settings())
        found.save(run)
        assert all((Path(run.folder) / figure).is_file() for figure in found.figures)
    return found


def test_corrected_influence_is_the_real_refit(report: Report) -> None:
    table = report.tables["removal, predicted and refitted"]
    assert table["parameter error, corrected"].max() <= 1e-8
    assert table["loss error, corrected"].max() <= 1e-8


def test_first_order_is_not(report: Report) -> None:
    table = report.tables["removal, predicted and refitted"].set_index("point")
    assert table.loc["B", "parameter error, first"] > 0.1


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_diagnostics_are_those_of_statsmodels(report: Report, name: str) -> None:
    everything, special = line(0)
    whole = fit(everything.select([*everything[: -len(special)].ids, name])).data
    batch = whole.take(slice(0, len(whole)))
    oracle = sm.OLS(batch.targets.numpy(), sm.add_constant(batch.inputs.numpy())).fit().get_influence()
    row = report.tables["the three points"].set_index("point").loc[name]
    assert row["Cook's distance"] == pytest.approx(oracle.cooks_distance[0][-1], rel=1e-8)
    assert row["DFFITS"] == pytest.approx(oracle.dffits[0][-1], rel=1e-8)
    assert row["leverage"] == pytest.approx(oracle.hat_matrix_diag[-1], rel=1e-8)
    assert row["studentised residual"] == pytest.approx(oracle.resid_studentized_external[-1], rel=1e-8)


def test_verdicts(report: Report) -> None:
    table = report.tables["the three points"].set_index("point")
    verdicts = table[["outlier", "high leverage", "influential"]].to_numpy(dtype=bool)
    expected = np.array([[True, False, False], [True, True, True], [False, True, False]])
    assert (verdicts == expected).all()

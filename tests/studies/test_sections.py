"""Sections of a report are kept in report.json and found again; older reports have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whence import files
from whence.execution import RunFolder
from whence.studies.section import Section
from whence.studies.study import Report

TABLE = pd.DataFrame({"name": ["a", None], "r": [0.5, np.nan], "n": [1, 2], "limit": [np.inf, 1.0]})


def test_a_section_is_kept_and_found(tmp_path: Path) -> None:
    given = Section("Table 5.1", "Correlation", ("one", "two"), {"r": TABLE}, ("figures/a.png",), "0.742", "Five")
    with RunFolder.open(tmp_path / "r", {}) as run:
        Report("x", {"r": TABLE.assign(more=1)}, sections=[given, Section("", "bare")]).save(run)
    assert (tmp_path / "r" / "tables" / "table-5-1-r.csv").is_file()
    first, second = Report.load(tmp_path / "r").sections
    assert first.record == given.record
    assert first.tables["r"]["r"].isna().tolist() == [False, True]
    assert (first.sentences, first.figures, first.source) == (("one", "two"), ("figures/a.png",), "0.742")
    assert (second.number, second.title, second.tables, second.chapter) == ("", "bare", {}, "")


def test_an_older_report_has_none(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "r", {}) as run:
        Report("x", {"t": TABLE}, ["s"]).save(run)
    assert "sections" not in json.loads((tmp_path / "r" / "report.json").read_text())
    report = Report.load(tmp_path / "r")
    assert (report.sections, report.sentences) == ([], ["s"])


@pytest.mark.parametrize(
    "change",
    [
        5,
        [5],
        ["number"],
        [{}],
        [{"number": "1"}],
        {"a": 1},
        {"title": 5},
        {"sentences": "letters"},
        {"figures": [5]},
        {"tables": []},
        {"tables": {"t": 5}},
    ],
)
def test_a_broken_section_is_said(tmp_path: Path, change: object) -> None:
    if isinstance(change, dict) and change != {"a": 1}:
        change = [Section("Figure 1", "t").record | change]
    words = {"study": "x", "tables": {}, "sentences": [], "figures": [], "facts": {}, "sections": change}
    (tmp_path / "report.json").write_text(json.dumps(words))
    with pytest.raises(files.FileError, match="is no report; run the same command again"):
        Report.load(tmp_path)

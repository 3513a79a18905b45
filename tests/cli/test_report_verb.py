"""``whence report``: a run folder becomes one HTML file, and nothing of someone's own is overwritten."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from whence.execution import RunFolder
from whence.studies.section import Section
from whence.studies.study import Report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with RunFolder.open(tmp_path / "run", {"study": "fake"}, kind="study") as folder:
        report = Report("fake", {"values": pd.DataFrame({"a": [1.5]})}, ["A sentence."], ["figures/none.png"])
        report.sections.append(Section("Figure 5.3", "Title", ("Ours.",), source="Theirs."))
        report.save(folder)
    return tmp_path / "run"


def test_it_is_written_into_the_run(whence, run: Path) -> None:
    answer = whence("report", run)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{run / 'report.html'}  ")
    assert answer.out.endswith(" kB\n")
    text = (run / "report.html").read_text(encoding="utf-8")
    for words in ("<title>fake: report of a run</title>", "Figure 5.3", "Theirs.", "A sentence.", "Figure not shown"):
        assert words in text
    # The run itself goes on as before, and writing again changes nothing.
    RunFolder.open(run, {"study": "fake"}, kind="study").close()
    assert whence("report", run).code == 0
    assert (run / "report.html").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_it_is_written_where_asked(whence, run: Path, tmp_path: Path, option: str) -> None:
    assert whence("report", run, option, tmp_path / "mine.html").code == 0
    assert (tmp_path / "mine.html").is_file()
    assert not (run / "report.html").exists()


def test_a_run_that_another_process_writes_can_be_reported(whence, run: Path) -> None:
    with RunFolder.open(run, {"study": "fake"}, kind="study"):
        assert whence("report", run).code == 0


def test_only_an_earlier_report_or_an_empty_file_is_replaced(whence, run: Path, tmp_path: Path) -> None:
    place = tmp_path / "mine.html"
    place.write_text("")
    assert whence("report", run, "-o", place).code == 0
    assert whence("report", run, "-o", place).code == 0
    place.write_text("<!DOCTYPE html>\n<html>my own page</html>")
    for taken in (place, run / "report.json", run / "run.json"):
        before = taken.read_bytes()
        answer = whence("report", run, "-o", taken)
        assert (answer.code, answer.out) == (1, "")
        assert "is no report of whence; choose another --output" in answer.err
        assert taken.read_bytes() == before


def test_a_link_in_the_run_is_replaced_and_not_followed(whence, run: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (run / "report.html").symlink_to(target)
    assert whence("report", run).code == 0
    assert not (run / "report.html").is_symlink()
    assert target.read_text() == ""


def test_places_that_cannot_be_written(whence, run: Path, tmp_path: Path) -> None:
    answer = whence("report", run, "-o", tmp_path / "nowhere" / "r.html")
    assert answer.code == 1
    assert f"{tmp_path / 'nowhere'} is no folder; make it first" in answer.err
    assert not (tmp_path / "nowhere").exists()
    answer = whence("report", run, "-o", tmp_path)
    assert answer.code == 1
    assert "is no plain file" in answer.err


def test_a_folder_that_is_no_run_or_has_no_report(whence, run: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        answer = whence("report", folder)
        assert (answer.code, answer.out) == (1, "")
        assert "holds no run" in answer.err
        assert answer.err.count("\n") == 1
    (run / "report.json").write_text("{")
    assert "truncated or not JSON" in whence("report", run).err
    (run / "report.json").unlink()
    answer = whence("report", run)
    assert answer.code == 1
    assert "has no report yet, its study is not finished; give its command again" in answer.err


def test_an_older_report(whence, run: Path) -> None:
    record = json.loads((run / "report.json").read_text())
    del record["sections"]
    (run / "report.json").write_text(json.dumps(record))
    assert whence("report", run).code == 0
    assert "Figure 5.3" not in (run / "report.html").read_text(encoding="utf-8")


def test_a_full_disk_leaves_the_earlier_report(whence, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whence("report", run).code == 0
    before = (run / "report.html").read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = whence("report", run)
    assert answer.code == 1
    assert "the disk is full" in answer.err
    assert (run / "report.html").read_bytes() == before
    assert [path.name for path in run.glob(".report.html*")] == []


def test_what_attribute_finds_can_be_reported(whence, program, tmp_path: Path) -> None:
    words = ["--method", "influence", "--queries", "q3,q7", "--out", "run"]
    assert whence("attribute", f"{program()}:task", *words).code == 0
    assert whence("report", "run").code == 0
    assert "Top examples" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

"""A report as one HTML file: nothing in it is fetched, no text of a run is markup, and nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from html_page import ABOUT, png

from whence.document import document
from whence.document.chapters import chapters
from whence.studies.section import Section
from whence.studies.study import Report

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=https://evil.example/>",
    "--><svg/onload=alert(1)>",
    "&lt;b&gt; \x1b[31m \x00 \u202e \ud800",
]


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_no_text_of_a_run_is_markup(made, picture) -> None:
    for words in HOSTILE:
        name = picture("figures/a.png")
        table = pd.DataFrame({words: [words, "b"], "n": [1.0, np.nan]})
        section = Section(words, words, (words,), {words: table}, (name, words), words, words)
        report = Report(words, {words + "2": table}, [words], [name, words, "x" + words], {words: {words: [words]}})
        report.sections.append(section)
        about = {**ABOUT, "kind": words, words: words, "started": words, "commit": {words: words}}
        page = made(report, about | {"versions": {"whence": words}})
        if "\x00" not in words:
            assert page.visible.count(words) >= 10
        assert not re.search(r"[\x00\x1b\u202e\ud800]", page.visible)


def test_addresses_in_texts_stay_texts(made) -> None:
    page = made(Report("x", sentences=["see http://evil.example/a.png and //evil.example"]))
    assert "http://evil.example/a.png" in page.visible


def test_the_style_fetches_nothing(tmp_path: Path) -> None:
    text = document(Report("x"), ABOUT, tmp_path)
    style = text[text.index("<style>") + len("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face|//|<", style)


def test_chapters_and_sections_stand_in_their_order(made) -> None:
    given = [("Figure 3.1", "Three"), ("Table 3.2", "Three"), ("Figure 4.1", "Four"), ("Figure 3.9", "Three"), ("", "")]
    report = Report("x", sections=[Section(number, f"title {i}", chapter=c) for i, (number, c) in enumerate(given)])
    report.tables["left over"] = frame(a=[1])
    found = chapters(report)
    assert [chapter.title for chapter in found] == ["Three", "Four", "Three", "Findings", "Also in this run"]
    assert [len(chapter.sections) for chapter in found] == [2, 1, 1, 1, 1]
    page = made(report)
    main = page.visible[page.visible.rindex("title 0") :]
    places = [main.index(f"title {i}") for i in range(5)] + [main.index("Left over")]
    assert places == sorted(places)
    assert {"#three", "#figure-3-1", "#table-3-2", "#three-2", "#title-4"} <= set(page.attributes("href"))


def test_what_a_section_shows_is_not_shown_again(made, picture) -> None:
    shown, other = frame(a=[1, 2], r=[0.5, np.nan]), frame(a=[3])
    name, free = picture("figures/one.png"), picture("figures/two.png", png(grey=9))
    report = Report("x", {"same": shown, "title": other}, ["said", "unsaid"], [name, free])
    report.sections.append(Section("Figure 1", "t", ("said",), {"same": shown.copy(), "title": shown}, (name,)))
    rest = chapters(report)[-1].sections
    assert [section.title for section in rest] == ["In words", "Title", "Two"]
    assert rest[0].sentences == ("unsaid",)
    page = made(report)
    assert page.visible.count("unsaid") == 1
    assert len(page.attributes("src")) == 2


def test_the_source_stands_beside_what_was_found(made) -> None:
    page = made(Report("x", sections=[Section("Table 5.1", "t", ("ours is 0.8",), source="0.742 and 0.805")]))
    text = page.visible
    assert (
        text.index("Printed in the source")
        < text.index("0.742 and")
        < text.index("Found in this run")
        < text.index("ours is 0.8")
    )
    assert "In the tables and figures below." in made(Report("x", sections=[Section("", "t", source="s")])).visible


def test_an_older_report_shows_all_it_has(made, picture) -> None:
    report = Report("digits", {"t": frame(a=[1])}, ["one", "two"], [picture("figures/by-class.png")], {"k": {"v": 0.1}})
    page = made(report)
    for words in ("In words", "one", "two", "By class", "figures/by-class.png", "Appendix: facts", "k.v", "0.1"):
        assert words in page.visible
    assert "real handwritten digits, checked by refits." in page.visible
    assert "It holds 1 table, 1 picture, 2 sentences." in page.visible


def test_an_empty_report(made) -> None:
    text = made(Report("")).visible
    assert "The run reports nothing." in text
    assert "It holds nothing." in text


def test_provenance(made, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(bytes(1500))
    (tmp_path / "report.html").write_bytes(bytes(99))
    text = made(Report("x"), {**ABOUT, "machine": {"host": "h", "cores": 2}, "note": [1, "b"]}).visible
    for words in ("config.data.train40 examples abc", "versions.whence9.9.9", "versions.torchnone", "commitc0ffee"):
        assert words in text
    assert "machine.hosth" in text
    assert "note1, b" in text
    assert "run folder1.5 kB in 1 file" in text
    assert "24 November 2026, 09:52 UTC with whence 9.9.9" in text


@pytest.mark.parametrize("started", ["yesterday", 5, None, {}, "0001-01-01T00:00:00+14:00"])
def test_a_record_with_odd_values(made, started: Any) -> None:
    made(Report("x"), {"kind": "run", "config": {}, "started": started, "versions": [1], "deep": {"a": {"b": {}}}})


def test_tables(made) -> None:
    table = frame(name=["a", "b"], long_column_name=[0.123456, np.nan], n=[10, 20], mixed=[1, "x"])
    page = made(Report("x", {"T": table}))
    columns = [found for tag, found in page.tags if tag == "th" and found.get("scope") == "col"]
    assert [found.get("class") for found in columns] == [None, "number", "number", None]
    rows = [tag for tag, found in page.tags if tag == "th" and found.get("scope") == "row"]
    assert len(rows) >= 2
    assert "a0.1235101b-20x" in page.visible.replace("\n", "")
    assert "long_column_name" in page.visible


@pytest.mark.parametrize("table", [pd.DataFrame(), frame(a=[], b=[]), pd.DataFrame(index=[1, 2])])
def test_a_table_without_cells(made, table: pd.DataFrame) -> None:
    assert "T" in made(Report("x", {"T": table})).visible


def test_a_table_of_all_nan_and_twice_the_same_column(made) -> None:
    table = pd.DataFrame([[np.nan, np.inf], [np.nan, 1.0]], columns=["a", "a"])
    assert "-inf-1" in made(Report("x", {"T": table})).visible.replace("\n", "")


def test_a_long_table_ends_with_a_line(made) -> None:
    page = made(Report("x", {"T": frame(a=np.arange(1500))}))
    assert "The first 1,000 of 1,500 rows." in page.visible
    assert "1000" not in page.visible


def test_the_same_run_gives_the_same_text(tmp_path: Path, picture) -> None:
    report = Report("x", {"t": frame(a=[1])}, ["s"], [picture("a.png")], {"k": 1})
    assert document(report, ABOUT, tmp_path) == document(report, ABOUT, tmp_path)


def test_the_style_is_part_of_the_package() -> None:
    import whence.document

    assert (Path(whence.document.__file__).parent / "look.css").is_file()

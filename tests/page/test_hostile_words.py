"""Names, ids, texts and notes that would be markup, code or formulas stay words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import page_programs
import pytest
from playwright.sync_api import Page, expect
from seen import apart, chart, columns, frame, query, shows, tooltip, unpacked
from tools.explored import Explored, explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
VIEWS = ("why", "where", "much", "labels")
MARKS = ("script:not([src]):not([type])", "img", 'a[href^="javascript"]', "svg a", "b > img", "i > img")


def check_no_markup(page: Page) -> None:
    """Nothing of the run became an element; the watch sees dialogs, requests and violations."""
    for mark in MARKS:
        expect(page.locator(mark)).to_have_count(0)


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_words_are_shown_as_they_are(served: Served, visit: Visit, view: str) -> None:
    server = served("texts")
    texts, ids, _ = page_programs.reviews()
    for identity in ids[page_programs.TEXTS : page_programs.TEXTS + 4]:
        page = visit(server, f"#view={view}")
        page.get_by_test_id("query-id").fill(identity)
        page.get_by_test_id("query-id").press("Enter")
        shows(page, identity)
        chosen = page.get_by_test_id("chosen")
        expect(page.get_by_test_id("chosen-id")).to_have_text(f"Query {identity}")
        expect(chosen.locator("q")).to_have_text(texts[ids.index(identity)])
        label = columns(server, "queries")["label"][columns(server, "queries")["id"].index(identity)]
        expect(chosen).to_contain_text(page_programs.CLASSES[label])
        check_no_markup(page)


def test_hostile_words_in_charts_and_tooltips(served: Served, visit: Visit) -> None:
    server = served("texts")
    said = columns(server, "train")
    page = visit(server, "#view=where")
    map_ = chart(page, "map")
    drawn = map_.locator("svg").first.evaluate("() => document.querySelector('.chart').innerHTML")
    assert "&lt;b&gt;" in drawn
    assert "<b>film" not in drawn
    found = server.get("/api/map", name=page.get_by_test_id("map-name").input_value())["train"]
    spots = frame(map_).place(unpacked(found["x"]), unpacked(found["y"]))
    page.mouse.move(*spots[apart(spots)].tolist())
    expect(tooltip(page)).to_contain_text(page_programs.CLASSES[said["label"][apart(spots)]])
    hostile = [identity for identity in said["id"] if not identity.startswith("review")]
    assert len(hostile) == 5
    page.get_by_test_id("select-ids").fill("nothing")
    page.get_by_test_id("select-ids").press("Enter")
    page.goto(page.url.split("#")[0] + "#view=where&selected=10-14")
    page.reload()
    expect(page.get_by_test_id("selected-count")).to_have_text("5 examples selected")
    for identity in hostile:
        expect(page.get_by_test_id("selected-examples")).to_contain_text(identity)
    check_no_markup(page)


def test_a_saved_figure_holds_no_link(served: Served, visit: Visit) -> None:
    page = visit(served("texts"), "#view=much")
    chart(page, "boxes")
    with page.expect_download() as download:
        page.get_by_test_id("boxes-svg").click()
    svg = Path(download.value.path()).read_text()
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] not in ("a", "script", "image", "foreignObject", "b")
        assert not any(name.startswith("on") for name in element.attrib)
    assert page_programs.CLASSES[1] in "".join(root.itertext())


def test_a_hostile_note_stays_a_note(copied: Callable[[str], Path], visit: Visit) -> None:
    with explored(copied("texts")) as server:
        page = visit(server, "#view=labels")
        row = page.get_by_test_id("ranking-loss").get_by_test_id("suspect").first
        row.get_by_test_id("open-suspect").click()
        note = f"{page_programs.SCRIPT}{page_programs.IMAGE}{page_programs.FORMULA}"
        row.get_by_test_id("note").fill(note)
        row.get_by_test_id("note").blur()
        expect(row).to_contain_text("✎ note")
        page.reload()
        row = page.get_by_test_id("ranking-loss").get_by_test_id("suspect").first
        row.get_by_test_id("open-suspect").click()
        expect(row.get_by_test_id("note")).to_have_value(note)
        check_no_markup(page)


@pytest.mark.parametrize("words", ["../../etc/passwd", page_programs.SCRIPT, page_programs.IMAGE, "%00", "-1", "1e9"])
def test_hostile_addresses_leave_the_page_working(served: Served, visit: Visit, words: str) -> None:
    server = served("pictures")
    for view in VIEWS:
        names = ("method", "beside", "map", "colour", "x", "y", "by", "selected")
        said = "&".join(f"{name}={words}" for name in names)
        page = visit(server, f"#view={view}&{said}")
        shown = query(page)
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
        page.get_by_test_id("next").click()
        expect(page.locator("html")).not_to_have_attribute("data-query", shown)
    page = visit(server, f"#query={words}", wait="")
    expect(page.get_by_test_id("chosen")).to_contain_text("names a query that this run does not hold")
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("Home")
    query(page)
    expect(page.get_by_test_id("card").first).to_be_visible()

"""The page without a pointer, and for those who do not see it: keys, names, roles, contrast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from probes import CONTRAST, FOCUSED
from seen import columns, query, shows
from tools.explored import Explored, explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
NAMED = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "tab",
    "tabpanel",
    "listbox",
    "option",
    "image",
    "figure",
}
PLENTY = 120


def tab_to(page: Page, name: str) -> None:
    """Presses Tab until the element with this name has the focus, and sees a ring around each on the way."""
    for _ in range(PLENTY):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            continue
        assert focused["ring"], f"{focused['name']} has the focus, and nothing shows it"
        if focused["name"] == name:
            return
    raise AssertionError(f"{name} is not reached by Tab")


def test_a_prediction_is_chosen_and_explained_by_keys(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    before = query(page)
    page.keyboard.press("j")
    expect(page.locator("html")).not_to_have_attribute("data-query", before)
    page.keyboard.press("k")
    shows(page, before)
    page.keyboard.press("/")
    wanted = columns(server, "queries")["id"][3]
    page.keyboard.type(wanted)
    page.keyboard.press("Enter")
    shows(page, wanted)
    tab_to(page, "query-list")
    expect(page.get_by_test_id("query-list")).to_have_attribute("aria-activedescendant", "option-0")
    tab_to(page, "tab-why")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("view-where")).to_be_visible()
    expect(page.get_by_test_id("tab-where")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("view-why")).to_be_visible()
    first = page.get_by_test_id("card").first.get_attribute("data-id")
    tab_to(page, f"select-{first}")
    page.keyboard.press(" ")
    expect(page.get_by_test_id("selected-count")).to_have_text("1 example selected")
    tab_to(page, "clear-selection")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("selection")).to_be_hidden()


def test_the_method_is_changed_by_a_key(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    before = page.get_by_test_id("method").input_value()
    page.keyboard.press("m")
    expect(page.get_by_test_id("method")).not_to_have_value(before)


def test_labels_are_checked_by_keys(copied: Callable[[str], Path], visit: Visit) -> None:
    with explored(copied("features")) as server:
        page = visit(server)
        page.keyboard.press("4")
        row = page.get_by_test_id("ranking-loss").get_by_test_id("suspect").first
        expect(row).to_be_visible()
        tab_to(page, "export-csv")
        tab_to(page, "open-suspect")
        page.keyboard.press("f")
        expect(row.get_by_test_id("flag")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Enter")
        expect(row.get_by_test_id("editor")).to_be_visible()
        tab_to(page, "suggest-label")
        page.keyboard.press("ArrowDown")
        expect(row.get_by_test_id("open-suspect")).to_contain_text("suggested Barbera")
        tab_to(page, "note")
        page.keyboard.type("not a Barolo")
        page.keyboard.press("Tab")
        expect(row).to_contain_text("✎ note")
        assert len((server.folder / "flags.jsonl").read_text().splitlines()) == 3


def test_the_keys_are_told(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("next, previous prediction")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("shortcuts")).to_be_hidden()


@pytest.mark.parametrize("view", ["why", "where", "much", "labels"])
def test_everything_that_is_used_has_a_name(served: Served, visit: Visit, view: str) -> None:
    page = visit(served("pictures"), f"#view={view}&selected=1-3")
    query(page)
    expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
    if view in ("where", "much"):
        expect(page.locator("#js-plotly-tester")).to_have_attribute("aria-hidden", "true")
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NAMED]
    assert len(used) > 20
    nameless = [node["role"]["value"] for node in used if not node.get("name", {}).get("value", "").strip()]
    assert nameless == []
    expect(page.get_by_role("tab")).to_have_count(4)
    expect(page.get_by_role("tab", selected=True)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(served: Served, visit: Visit, theme: str) -> None:
    page = visit(served("pictures"), "#selected=1-3&beside=leverage-corrected")
    page.emulate_media(color_scheme=theme)
    for view in ("why", "where", "much", "labels"):
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
        query(page)
        assert page.evaluate(CONTRAST) == []


def test_signs_do_not_hang_on_colour_alone(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    for side, glyph, sign in (("helpful", "▲", "+"), ("harmful", "▼", "−")):
        words = page.get_by_test_id(side).get_by_test_id("score").all_inner_texts()
        assert words
        assert all(glyph in text and sign in text for text in words)

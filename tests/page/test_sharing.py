"""Point 6: a person shares: a link to exactly this view, figures, and a report in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from seen import chart, columns, query, selected, shows
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
SVG = "{http://www.w3.org/2000/svg}"
VIEWS = {"map": "where", "boxes": "much", "predicted-actual": "much", "two-columns": "much"}


def copied_link(page: Page) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_test_id("share").click()
    page.get_by_test_id("copy-link").click()
    expect(page.get_by_test_id("messages")).to_contain_text("Copied the link")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_copied_link_opens_exactly_this_view(served: Served, visit: Visit) -> None:
    server = served("pictures")
    other = columns(server, "queries")["id"][5]
    page = visit(server)
    page.get_by_test_id("query-id").fill(other)
    page.get_by_test_id("query-id").press("Enter")
    shows(page, other)
    page.get_by_test_id("method").select_option("leverage-corrected")
    page.get_by_test_id("beside").select_option("gradient-dot")
    for card in page.get_by_test_id("helpful").first.get_by_test_id("card").all()[:2]:
        card.get_by_role("checkbox").check()
    page.get_by_test_id("tab-where").click()
    chart(page, "map")
    page.get_by_test_id("map-name").select_option("tsne 2")
    page.get_by_test_id("map-colour").select_option("loss")
    expect(page.get_by_test_id("map-title")).to_contain_text("colour: loss")
    chosen = selected(page)
    link = copied_link(page)

    fresh = visit(served("pictures"), link.removeprefix(server.address))
    shows(fresh, other)
    expect(fresh.get_by_test_id("view-where")).to_be_visible()
    expect(fresh.get_by_test_id("method")).to_have_value("leverage-corrected")
    expect(fresh.get_by_test_id("beside")).to_have_value("gradient-dot")
    expect(fresh.get_by_test_id("map-name")).to_have_value("tsne 2")
    expect(fresh.get_by_test_id("map-colour")).to_have_value("loss")
    expect(fresh.get_by_test_id("map-title")).to_have_text(page.get_by_test_id("map-title").inner_text())
    expect(fresh.get_by_test_id("selected-count")).to_have_text("2 examples selected")
    assert selected(fresh) == chosen
    assert copied_link(fresh) == link


def test_a_link_to_two_columns_keeps_them(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"), "#view=much&x=loss&y=disagreement")
    chart(page, "two-columns")
    expect(page.get_by_test_id("column-x")).to_have_value("loss")
    expect(page.get_by_test_id("column-y")).to_have_value("disagreement")


def test_back_undoes_a_change_of_view(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    page.get_by_test_id("tab-labels").click()
    expect(page.get_by_test_id("view-labels")).to_be_visible()
    page.go_back()
    expect(page.get_by_test_id("view-why")).to_be_visible()


@pytest.mark.parametrize("name", VIEWS)
def test_figures_are_saved_as_png_and_svg(served: Served, visit: Visit, name: str) -> None:
    page = visit(served("pictures"), f"#view={VIEWS[name]}")
    chart(page, name)
    with page.expect_download() as download:
        page.get_by_test_id(f"{name}-png").click()
    assert download.value.suggested_filename == f"whence-{name}.png"
    with Image.open(download.value.path()) as image:
        assert image.format == "PNG"
        assert image.width >= 1200
        assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10
    with page.expect_download() as download:
        page.get_by_test_id(f"{name}-svg").click()
    assert download.value.suggested_filename == f"whence-{name}.svg"
    root = ElementTree.fromstring(Path(download.value.path()).read_text())
    assert root.tag == f"{SVG}svg"
    words = "".join(root.itertext())
    assert page.get_by_test_id(f"{name}-title").inner_text()[:40] in words
    if name in ("map", "two-columns"):
        assert root.findall(f".//{SVG}image"), "the points are missing"


def test_ticked_queries_are_offered_for_a_report(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    page.get_by_test_id("share").click()
    expect(page.get_by_test_id("report-ticked")).to_contain_text("tick some in the list")
    page.keyboard.press("Escape")
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    page.get_by_test_id(f"tick-{query(page)}").click()
    page.get_by_test_id("share").click()
    expect(page.get_by_test_id("report-ticked")).to_have_text("Write report of 2 ticked queries")

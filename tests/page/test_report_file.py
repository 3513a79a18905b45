"""Point 6: the self-contained report opens from disk without a network, asks for nothing, and works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from seen import canvas, chart, query, shows
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
LARGEST = 8_000_000


@pytest.fixture
def written(served: Served, visit: Visit, tmp_path: Path) -> Callable[..., Path]:
    """Downloads the report of a run's first queries, as a person does; the file."""

    def write(name: str, many: int = 1, hash: str = "") -> Path:
        page = visit(served(name), hash)
        query(page)
        page.get_by_test_id("query-list").focus()
        page.keyboard.press("Home")
        for _ in range(many):
            page.keyboard.press(" ")
            page.keyboard.press("ArrowDown")
        page.get_by_test_id("share").click()
        with page.expect_download() as download:
            page.get_by_test_id("report-ticked").click()
        assert download.value.suggested_filename.endswith(".html")
        file = tmp_path / f"{name}.html"
        download.value.save_as(file)
        assert file.stat().st_size <= LARGEST
        return file

    return write


def cards(page: Page) -> Locator:
    return page.get_by_test_id("card")


@pytest.mark.parametrize("name", ["pictures", "texts", "features", "line"])
def test_a_report_opens_from_disk_and_asks_for_nothing(
    served: Served, visit: Visit, written: Callable[..., Path], name: str
) -> None:
    file = written(name)
    page = visit(file.as_uri(), wait="")
    page.context.set_offline(True)
    expect(page.locator("html")).to_have_attribute("data-ready", "all")
    asked = query(page)
    live = visit(served(name), f"#query={asked}")
    shows(live, asked)
    assert cards(page).count() > 0
    assert cards(page).all_inner_texts() == cards(live).all_inner_texts()
    for view in ("where", "much", "labels"):
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
    assert [url for url in page.watch.asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]


def test_what_is_in_a_report_works_as_on_the_page(visit: Visit, written: Callable[..., Path]) -> None:
    file = written("pictures", 2, "#beside=leverage-corrected")
    page = visit(file.as_uri(), wait="all")
    first = query(page)
    expect(page.get_by_test_id("query-count")).to_have_text("2 predictions")
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("html")).not_to_have_attribute("data-query", first)
    page.keyboard.press("Home")
    page.get_by_test_id("method").select_option("leverage-corrected")
    expect(page.get_by_test_id("trust").first).to_be_visible()
    expect(page.get_by_test_id("method").get_by_role("option")).to_have_count(2)
    page.get_by_test_id("tab-where").click()
    assert (canvas(chart(page, "map"))[..., 3] > 0).any()
    page.get_by_test_id("tab-much").click()
    chart(page, "boxes")
    chart(page, "predicted-actual")
    chart(page, "two-columns")
    with page.expect_download() as download:
        page.get_by_test_id("two-columns-svg").click()
    assert "<svg" in Path(download.value.path()).read_text()


def test_what_a_report_cannot_do_says_where_it_can_be_done(visit: Visit, written: Callable[..., Path]) -> None:
    page = visit(written("pictures").as_uri())
    cards(page).first.get_by_role("checkbox").check()
    expect(page.get_by_test_id("joint")).to_contain_text("whence explore")
    expect(page.get_by_test_id("joint-here")).to_be_visible()
    expect(page.get_by_test_id("verify")).to_be_disabled()
    page.get_by_test_id("tab-labels").click()
    expect(page.get_by_test_id("ranking-loss").get_by_test_id("suspect")).to_have_count(50)
    expect(page.get_by_test_id("ranking-loss").get_by_test_id("flag").first).to_be_disabled()
    expect(page.get_by_test_id("view-labels")).to_contain_text("whence explore")
    expect(page.get_by_test_id("export-csv")).to_be_hidden()


def test_a_link_into_a_report_opens_its_view(visit: Visit, written: Callable[..., Path]) -> None:
    file = written("pictures", 2)
    page = visit(file.as_uri())
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("End")
    last = query(page)
    page.get_by_test_id("tab-much").click()
    expect(page.get_by_test_id("view-much")).to_be_visible()
    again = visit(page.url)
    shows(again, last)
    expect(again.get_by_test_id("view-much")).to_be_visible()

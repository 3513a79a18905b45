"""Every view of every kind of run, wide and narrow, light and dark: nothing scrolls sideways, and a picture is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from probes import ASIDE, SETTLED
from seen import query
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
VIEWS = {"why": (), "where": ("map",), "much": ("boxes", "predicted-actual", "two-columns"), "labels": ()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["pictures", "texts", "features", "line"])
def test_views_fit_and_are_kept_as_pictures(
    served: Served, visit: Visit, screenshots: Path, name: str, size: str
) -> None:
    for view, figures in VIEWS.items():
        page = visit(served(name), f"#view={view}" + ("&selected=1-4" if view == "where" else ""), size=SIZES[size])
        query(page)
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for figure in figures:
                place = page.get_by_test_id(figure)
                place.scroll_into_view_if_needed()
                notice = place.locator(".notice").filter(visible=True)
                drawn = place.locator("svg.main-svg").first
                expect(drawn.or_(notice).first).to_be_visible()
                if drawn.count():
                    handle = place.get_by_test_id(f"{figure}-chart").element_handle()
                    page.wait_for_function(SETTLED, arg=[handle, theme])
            page.evaluate("scrollTo(0, 0)")
            assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], (view, theme)
            assert page.evaluate(ASIDE) == [], (view, theme)
            page.screenshot(path=screenshots / f"{name}-{view}-{size}-{theme}.png", full_page=True)
        page.close()

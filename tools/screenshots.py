"""Pictures of the page for the README: ``python -m tools.screenshots [RUN]``, to ``docs/screenshots``.

RUN is a finished digits run, by default ``runs/digits`` (``make demo``).
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

from tools.chromium import chromium
from tools.explored import Explored, explored

RUN = Path("runs/digits")
OUT = Path("docs/screenshots")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE = 60_000
SHOTS = {
    "why": ("view=why", WIDE, "light"),
    "where": ("view=where&colour=influence", WIDE, "light"),
    "how-much": ("view=much", WIDE, "light"),
    "labels": ("view=labels", WIDE, "light"),
    "narrow": ("view=why", NARROW, "light"),
    "dark": ("view=where&map=tsne h3_d&colour=label", WIDE, "dark"),
}
"""Name of the picture: what is looked at, the size of the window, and the colours."""
CHARTS = {"view=where": "map", "view=much": "boxes"}


def main() -> None:
    """Take the pictures."""
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else RUN
    OUT.mkdir(parents=True, exist_ok=True)
    with explored(run) as server, chromium() as browser:
        for name in SHOTS:
            picture(browser, server, name)
            print(OUT / f"{name}.png")


def picture(browser: Browser, server: Explored, name: str) -> None:
    """One picture, when all that it shows has been drawn."""
    hash, size, theme = SHOTS[name]
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{server.address}#{hash}", timeout=PATIENCE)
    page.wait_for_selector("html[data-ready=all][data-query]", timeout=PATIENCE)
    chart = CHARTS.get(hash.split("&")[0])
    if chart:
        expect(page.get_by_test_id(f"{chart}-chart").locator("svg.main-svg").first).to_be_visible(timeout=PATIENCE)
    page.wait_for_load_state("networkidle", timeout=PATIENCE)
    page.screenshot(path=OUT / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()

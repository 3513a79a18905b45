"""Runs, servers and a watched Chromium for the tests of the page."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import made_runs
import pytest
from playwright.sync_api import Browser, Page, expect
from watched import Watch

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.chromium import MISSING, chromium, executable
from tools.explored import Explored, explored

WIDE = {"width": 1280, "height": 800}
PATIENCE = 40_000
"""Milliseconds that a page may take for anything: far more than it does, so that a busy machine fails no test."""
SHOTS = Path(__file__).parent / "screenshots"

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: its event loop must not run on beneath tests of other folders."""
    if executable() is None:
        pytest.skip(MISSING)
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The finished run of this name: pictures, texts, features or line. Made once; never to be written into."""
    room = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        out = room / name
        if not out.exists():
            make = {"pictures": made_runs.pictures, "line": made_runs.line}
            make.get(name, lambda place: made_runs.attributed(name, place))(out)
        return out

    return run


@pytest.fixture(scope="session")
def served(runs: Callable[[str], Path]) -> Iterator[Callable[[str], Explored]]:
    """The server of a run that a test only looks at."""
    with ExitStack() as stack:
        servers: dict[str, Explored] = {}

        def server(name: str) -> Explored:
            if name not in servers:
                servers[name] = stack.enter_context(explored(runs(name)))
            return servers[name]

        yield server


@pytest.fixture
def copied(runs: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a run that a test may write into."""

    def copy(name: str) -> Path:
        return shutil.copytree(runs(name), tmp_path / name)

    return copy


@pytest.fixture(scope="session")
def screenshots() -> Iterator[Path]:
    """Where pictures of the views are kept; git does not see them."""
    SHOTS.mkdir(exist_ok=True)
    yield SHOTS
    print(f"\npictures of the page: {SHOTS}")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page of a server, watched from its first byte; what went wrong fails the test at its end."""
    with ExitStack() as stack:
        watches = []

        def opened(server: Explored | str, hash: str = "", *, size: dict[str, int] = WIDE, wait: str = "why") -> Page:
            """``wait``: for which part of the page: "" for none, "why" or "all"."""
            context = browser.new_context(viewport=size, accept_downloads=True)
            stack.callback(context.close)
            home = server.address if isinstance(server, Explored) else ""
            watches.append(Watch.over(context, home))
            page = context.new_page()
            page.watch = watches[-1]
            page.set_default_timeout(PATIENCE)
            page.goto((home or str(server)) + hash)
            if wait:
                expect(page.locator("html")).to_have_attribute(
                    "data-ready", re.compile("all" if wait == "all" else "why|all")
                )
            return page

        yield opened
        for watch in watches:
            watch.judge()

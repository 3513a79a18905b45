"""A headless Chromium for tests, benchmarks and pictures: where it is, and how it starts so that it stays offline."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name but this machine's can be resolved, so that nothing is reached even if a page asks for it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
MISSING = "there is no Chromium: install Debian's package chromium, or name one in WHENCE_CHROMIUM"


def executable() -> str | None:
    """The browser that WHENCE_CHROMIUM names, or one on the path; None if there is none."""
    return os.environ.get("WHENCE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile. Raises FileNotFoundError if there is no Chromium."""
    from playwright.sync_api import sync_playwright

    found = executable()
    if found is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()

"""Pictures of the page for the README: ``python -m tools.screenshots RUN [FOLDER]``, after ``make demo``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tools.chromium import chromium

VIEWS = {"why": "why", "where": "where", "how-much": "much", "labels": "labels"}
WIDE = {"width": 1280, "height": 800}


def take(run: Path, folder: Path) -> None:
    """Write a PNG of each view of a run folder's page."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "whence.cli.app", "explore", str(run), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            home = _address(server)
            with chromium() as browser:
                for name, view in VIEWS.items():
                    page = browser.new_page(viewport=WIDE)
                    page.goto(f"{home}#view={view}")
                    page.wait_for_selector('html[data-ready="all"][data-query]')
                    page.screenshot(path=folder / f"{name}.png")
                    page.close()
        finally:
            server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    """Where the server says that it is. Raises RuntimeError if it ends before."""
    for line in server.stdout or ():
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        if found:
            return found[0]
    raise RuntimeError("the page's server ended before it said where it is")


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/screenshots"))

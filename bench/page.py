"""The page in headless Chromium with a software renderer: first view, switching the query, and the server's memory.

Bars: the first meaningful view (list, prediction and reasons painted) within 3 s at 5,500 training examples and 5 s at
60,000; another query within 150 ms and 300 ms; the server within 400 MB with 60,000 x 1,000 scores memory-mapped.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from tools.chromium import chromium
from tools.explored import Explored, explored

from bench.made_up_run import made_up

SIZES = {"5,500 x 60": (5_500, 60, 3.0, 0.15), "60,000 x 1,000": (60_000, 1_000, 5.0, 0.3)}
"""Training examples, queries, and the bars in seconds: first view, another query."""
MEMORY = 400.0
"""The bar in megabytes, of the largest size."""
ROUNDS, SWITCHES = 5, 21
PAUSE = 400
"""Milliseconds between switches: a person looks meanwhile, and the page asks ahead for the neighbours."""
VIEWS = {"why": "why", "where, by score": "where&colour=influence", "how much": "much"}
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
FIRST = f"""new MutationObserver(async (_, watcher) => {{
  if (document.documentElement.dataset.ready !== "why") return;
  watcher.disconnect();
  await ({PAINTED})();
  window.firstView = performance.now();
}}).observe(document, {{ attributes: true, attributeFilter: ["data-ready"], subtree: true }});"""
SWITCH = f"""async ([id, next]) => {{
  const page = document.documentElement;
  const field = document.querySelector('[data-testid="query-id"]');
  const before = page.dataset.query;
  const start = performance.now();
  if (next) document.querySelector('[data-testid="next"]').click();
  else {{
    field.value = id;
    field.dispatchEvent(new KeyboardEvent("keydown", {{ key: "Enter", bubbles: true }}));
  }}
  while (!page.dataset.query || page.dataset.query === before) await new Promise((go) => setTimeout(go));
  await ({PAINTED})();
  return performance.now() - start;
}}"""


def run() -> dict[str, object]:
    """Seconds and megabytes by size; medians of several visits and switches."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as room, chromium() as browser:
        for name, (train, queries, first, other) in SIZES.items():
            folder = made_up(Path(room) / str(train), train, queries)
            with explored(folder) as server:
                memory = {"started": _memory(server)}
                seconds = [_first_view(browser, server) for _ in range(ROUNDS)]
                record: dict[str, object] = {
                    f"first view, s (bar {first:g})": statistics.median(seconds),
                    "first view, of them the first after the server's start, s": seconds[0],
                    f"another query, s (bar {other:g})": {
                        f"{view}, {how}": _switch(browser, server, hash, queries, how == "the next")
                        for view, hash in VIEWS.items()
                        for how in ("the next", "any")
                    },
                }
                memory["after the visits"] = _memory(server)
                _ask_everything(server, queries)
                memory["after every row of scores and every sheet"] = _memory(server)
                record[f"server's memory, MB (bar {MEMORY:g} of 60,000 x 1,000)"] = memory
                found[name] = record
        found["chromium"] = browser.version
    return found | {"visits": ROUNDS, "switches": SWITCHES}


def _visit(browser: Browser, server: Explored, hash: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.add_init_script(FIRST)
    page.goto(f"{server.address}#view={hash}")
    return page


def _first_view(browser: Browser, server: Explored) -> float:
    page = _visit(browser, server, "why")
    seconds = float(page.wait_for_function("() => window.firstView").json_value()) / 1000
    page.wait_for_selector("html[data-ready=all]")
    page.context.close()
    return seconds


def _switch(browser: Browser, server: Explored, hash: str, queries: int, following: bool) -> float:
    """Median seconds from the event to the painted view."""
    page = _visit(browser, server, hash)
    page.wait_for_selector("html[data-ready=all][data-query]")
    milliseconds = []
    for turn in range(SWITCHES):
        page.wait_for_timeout(PAUSE)
        identity = str((turn * 37 + 11) % queries)
        milliseconds.append(float(page.evaluate(SWITCH, [identity, following])))
    page.context.close()
    return statistics.median(milliseconds) / 1000


def _ask_everything(server: Explored, queries: int) -> None:
    """Touches all scores and all thumbnails once."""
    for query in range(queries):
        server.get("/api/scores", query=query, method="influence")
    about: dict[str, Any] = server.get("/api/about")
    for sheet in range(-(-about["counts"]["train"] // about["sprite"]["tiles"])):
        with urllib.request.urlopen(f"{server.address}sprite?side=train&sheet={sheet}") as answer:
            answer.read()


def _memory(server: Explored) -> dict[str, float]:
    """Megabytes of the server's process: resident, of them its own (not mapped from files), and the peak."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    kilobytes = {name: int(value) for name, value in re.findall(r"(\w+):\s+(\d+) kB", status)}
    named = {"resident": "VmRSS", "own": "RssAnon", "peak": "VmHWM"}
    return {words: round(kilobytes[name] / 1000, 1) for words, name in named.items()}

"""Who may come in: only this machine's own page, with its token; other names, sites and paths are turned away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from probes import FETCH
from seen import query
from tools.chromium import OPTIONS, executable
from tools.explored import Explored, explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
PARAMETERS = {
    "/api/why": {"query": "0", "method": "scores", "k": "12"},
    "/api/scores": {"query": "0", "method": "scores"},
    "/api/actual": {"query": "0", "truth": "truth-proximal"},
    "/api/map": {"name": "pca 2"},
    "/api/suspicious": {"by": "loss", "k": "50", "offset": "0"},
    "/api/rows": {"side": "train", "positions": "0,1"},
    "/sprite": {"side": "train", "sheet": "0"},
    "/api/verify": {"job": "0"},
    "/api/report": {"queries": "0", "methods": "scores"},
}
UP = "../../../../etc/passwd"


@pytest.fixture
def rebound(browser: Browser) -> Iterator[Browser]:
    """A browser for which a stranger's name leads to this machine, as after DNS rebinding."""
    options = [*OPTIONS[:-1], "--host-resolver-rules=MAP rebound.example 127.0.0.1"]
    other = browser.browser_type.launch(executable_path=executable(), args=options)
    yield other
    other.close()


def test_a_foreign_host_is_turned_away(served: Served, rebound: Browser) -> None:
    port = urlsplit(served("pictures").address).port
    page = rebound.new_page()
    for path in ("/", "/api/about", "/static/page.js", "/plotly.js", "/sprite?side=train&sheet=0"):
        answer = page.goto(f"http://rebound.example:{port}{path}")
        assert answer.status == 421
        assert "127.0.0.1" in json.loads(answer.text())["error"]
    page.close()


def test_another_site_changes_nothing(copied: Callable[[str], Path], browser: Browser) -> None:
    folder = copied("features")
    with explored(folder) as server:
        page = browser.new_page()
        page.goto("data:text/html,<p>another site</p>")
        body = json.dumps({"position": 0, "flag": True})
        for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/json"}):
            call = "([path, init]) => fetch(path, init).then(() => 'answered', () => 'refused')"
            init = {"method": "POST", "body": body, "headers": headers}
            assert page.evaluate(call, [f"{server.address}api/flags", init]) == "refused"
        page.close()
    assert not (folder / "flags.jsonl").exists()


@pytest.mark.parametrize("token", [None, "", "wrong", "../token"])
def test_a_post_without_the_token_is_refused(served: Served, visit: Visit, token: str | None) -> None:
    server = served("pictures")
    page = visit(server)
    page.watch.pardon("/api/flags", "/api/joint", "/api/verify", "/api/cancel")
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"X-Whence-Token": token})
    for path, body in {
        "/api/flags": {"position": 0, "flag": True},
        "/api/joint": {"positions": [0], "method": "scores"},
        "/api/verify": {"positions": [0]},
        "/api/cancel": {"job": "0"},
    }.items():
        status, words = page.evaluate(FETCH, [path, {"method": "POST", "headers": headers, "body": json.dumps(body)}])
        assert status == 403
        assert "load the page again" in json.loads(words)["error"]
    assert not (server.folder / "flags.jsonl").exists()
    page.get_by_test_id("next").click()
    query(page)


def test_dots_in_every_parameter_are_refused_in_words(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    page.watch.pardon(*PARAMETERS, "/api/joint", "/api/flags")
    for path, parameters in PARAMETERS.items():
        for name in parameters:
            words = "&".join(f"{key}={UP if key == name else value}" for key, value in parameters.items())
            status, text = page.evaluate(FETCH, [f"{path}?{words}", {}])
            assert 400 <= status < 500, (path, name, status)
            assert json.loads(text)["error"], (path, name)
            assert "root:" not in text
    token = page.locator('meta[name="whence-token"]').get_attribute("content")
    headers = {"Content-Type": "application/json", "X-Whence-Token": token}
    for path, body in {
        "/api/joint": {"positions": [0], "method": UP},
        "/api/flags": {"position": UP, "flag": True},
    }.items():
        status, text = page.evaluate(FETCH, [path, {"method": "POST", "headers": headers, "body": json.dumps(body)}])
        assert 400 <= status < 500
        assert json.loads(text)["error"]


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/run.json"])
def test_no_route_takes_a_path(served: Served, visit: Visit, path: str) -> None:
    page = visit(served("pictures"))
    # A browser takes the dots away itself; what is left is asked.
    page.watch.pardon(path, "/app.py")
    status, text = page.evaluate(FETCH, [path, {}])
    assert status == 404
    assert json.loads(text)["error"]


def test_the_page_cannot_be_framed(served: Served, visit: Visit) -> None:
    policy = visit(served("pictures")).request.get(served("pictures").address).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_nothing_but_this_server_was_asked(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, wait="all")
    for view in ("where", "much", "labels", "why"):
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
    asked = [url for url in page.watch.asked if not url.startswith(("data:", "blob:"))]
    assert len(asked) > 10
    assert all(url.startswith(server.address) for url in asked)

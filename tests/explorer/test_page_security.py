"""The page is local and suspicious: one test for each line of what was promised."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from importlib import resources

import pytest
from page_client import PORT, TOKEN
from small_run import HOSTILE, Made
from starlette.routing import Route

from whence.explorer import page, security, serve
from whence.explorer.answers import VIEWS


def test_it_listens_on_this_machine_only() -> None:
    with serve.listening(None) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        port = listener.getsockname()[1]
        with pytest.raises(serve.PortError, match=f"port {port} cannot be had"):
            serve.listening(port)
        with serve.listening(None) as other:
            assert other.getsockname()[1] != port


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", "LOCALHOST", "127.0.0.1"])
def test_its_own_hosts_are_answered(client, host: str) -> None:
    assert client.http.get("/api/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/", "/api/about", "/static/page.js", "/plotly.js", "/nothing"])
def test_a_foreign_host_is_refused(client, host: str, path: str) -> None:
    answer = client.http.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert f"http://127.0.0.1:{PORT}" in answer.json()["error"]
    assert answer.headers["content-security-policy"] == security.POLICY


def test_other_sites_may_ask_for_nothing(client) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        headers = {"Sec-Fetch-Site": site}
        assert client.http.get("/api/train", headers=headers).status_code == status
        # A link to the page itself may stand anywhere.
        assert client.http.get("/", headers=headers).status_code == 200


def test_no_route_takes_a_path(client) -> None:
    routes = [route for route in client.http.app.app.routes if isinstance(route, Route)]
    assert [route.path for route in routes if route.param_convertors] == ["/static/{name}"]
    for name in (
        "..%2fapp.py",
        "%2e%2e/app.py",
        "index.html",
        "//etc/passwd",
        "x.js",
    ):
        answer = client.http.get(f"/static/{name}")
        assert answer.status_code == 404, name
        assert "error" in answer.json()


def test_what_changes_something_needs_the_token(client, made: Made) -> None:
    paths = ["/api/flags", "/api/joint", "/api/verify", "/api/cancel"]
    good = client.served.token
    for path in paths:
        for headers in (
            {},
            {TOKEN: ""},
            {TOKEN: "x"},
            {TOKEN: good[:-1]},
            {TOKEN: good, "Origin": "http://evil.example"},
        ):
            answer = client.http.post(path, json={"position": 0, "flag": True}, headers=headers)
            assert answer.status_code == 403, (path, headers)
        answer = client.http.post(path, content="{}", headers={TOKEN: good, "Content-Type": "text/plain"})
        assert answer.status_code == 415
        origin = {TOKEN: good, "Origin": "null"}
        assert client.http.post(path, json={}, headers=origin).status_code == 403
    assert not (made.folder / "flags.jsonl").exists()
    own = {TOKEN: good, "Origin": f"http://localhost:{PORT}"}
    assert client.http.post("/api/flags", json={"position": 0, "flag": True}, headers=own).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.http.request(method, "/api/flags", headers={TOKEN: good}).status_code == 405


def test_the_token_is_new_in_each_process_and_stands_in_the_page(client, visit, made: Made) -> None:
    assert f'<meta name="whence-token" content="{client.served.token}">' in client.http.get("/").text
    assert len(client.served.token) >= 32
    assert visit(made.folder).served.token != client.served.token


def test_a_long_body_is_refused(client) -> None:
    headers = {TOKEN: client.served.token, "Content-Type": "application/json"}
    long = b'{"note": "' + b"x" * security.LARGEST_BODY + b'"}'
    assert client.http.post("/api/flags", content=long, headers=headers).status_code == 413

    def in_pieces() -> Iterator[bytes]:
        yield from (long[start : start + 100_000] for start in range(0, len(long), 100_000))

    assert client.http.post("/api/flags", content=in_pieces(), headers=headers).status_code == 413


def test_the_page_has_a_strict_policy(client) -> None:
    answer = client.http.get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
    inline = [text for attributes, text in scripts if "src=" not in attributes]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline]
    assert policy["script-src"].split() == ["'self'", *hashes]
    assert " style=" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    imports = json.loads(inline[0])["imports"]
    for address in imports.values():
        assert client.http.get(address).headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/", "/api/about", "/api/why?query=x", "/static/page.js", "/plotly.js", "/nothing"])
def test_every_answer_carries_the_headers(client, path: str) -> None:
    headers = client.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] in ("no-store", "private, no-cache")
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_defect_of_the_server_tells_nothing(client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(reader: object, asked: object) -> dict:
        raise ZeroDivisionError("a secret")

    monkeypatch.setitem(VIEWS, "/api/train", broken)
    with pytest.raises(ZeroDivisionError):
        client.http.get("/api/train")
    client.http._transport.raise_server_exceptions = False
    answer = client.http.get("/api/train")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == security.POLICY


def test_the_modules_put_no_markup_together() -> None:
    sources = {
        place.name: place.read_text() for place in resources.files("whence.explorer").joinpath("static").iterdir()
    }
    for name, text in sources.items():
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text, f"{name} has {word}"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{name} names a place outside"


def test_texts_of_the_run_do_not_become_markup(client) -> None:
    page_text = client.http.get("/").text
    for words in HOSTILE:
        assert words not in page_text
    assert "&lt;/script&gt;&lt;img" in page_text
    for path in ("/api/about", "/api/queries"):
        answer = client.http.get(path)
        assert "<" not in answer.text
        assert answer.headers["content-type"] == "application/json"


def test_a_title_that_reads_like_a_placeholder_stays_a_title() -> None:
    assert page.filled("secret", "{{token}}", "{}").count("secret") == 1


def test_no_request_leaves_the_machine(client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: object) -> None:
        raise AssertionError(f"a connection was opened: {words}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert client.http.get("/").status_code == 200
    for path in ("/api/about", "/api/train", "/api/queries"):
        client.get(path)
    client.get("/api/why", query=0, method="influence")
    client.post("/api/flags", {"position": 0, "flag": True})
    assert client.http.get("/api/report", params={"queries": "0", "methods": "influence"}).status_code == 200

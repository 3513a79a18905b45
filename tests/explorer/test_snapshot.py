"""The self-contained page: the very answers of the server, in one file that asks nobody for anything."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_client import Client
from small_run import HOSTILE, Made

from whence.document.html import MARK
from whence.explorer import page, snapshot

Visit = Callable[..., Client]


def held(text: str) -> dict[str, Any]:
    (data,) = re.findall(r'<script type="application/json" id="whence-data">(.*?)</script>', text, re.DOTALL)
    found: dict[str, Any] = json.loads(data)
    return found


def written(client: Client, queries: str = "0,1,2,3,4", methods: str = "influence") -> str:
    answer = client.http.get("/api/report", params={"queries": queries, "methods": methods})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="whence.html"'
    return answer.text


@pytest.mark.parametrize("kind", ["image", "text", "features", "none"])
def test_it_holds_the_servers_own_answers(visit: Visit, tmp_path: Path, kind: str) -> None:
    made = Made(tmp_path / "run", kind=kind, words=True)
    made.write()
    with made.opened() as run:
        run.save("alone", made.truth([[7], [3]]))
    client = visit(made.folder)
    found = held(written(client))
    about = found.pop("/api/about")
    assert about["can"] == {
        "act": False, "verify": False, "why_not": "open this run with `whence explore` to do that"
    }  # fmt: skip
    served = client.get("/api/about")
    assert {**served, "can": None} == {**about, "can": None}
    for key, value in found.items():
        path, _, query = key.partition("?")
        # Not parse_qsl, which would decode: the keys hold plain values.
        parameters = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
        assert [*parameters] == sorted(parameters)
        answer = client.http.get(path, params=parameters)
        assert answer.status_code == 200, key
        if path == "/sprite":
            assert value == f"data:image/png;base64,{base64.b64encode(answer.content).decode()}"
        else:
            assert answer.text == page_text(value), key
    for query in range(5):
        assert f"/api/why?k=12&method=influence&query={query}" in found
        assert f"/api/scores?method=influence&query={query}" in found
        assert f"/api/actual?query={query}&truth=alone" in found
    assert {"/api/train", "/api/queries", "/api/map?name=pca h1"} <= found.keys()
    assert {
        f"/api/suspicious?by={by}&k=50&offset=0" for by in ("loss", "self_influence", "disagreement")
    } <= found.keys()
    if kind == "image":
        assert {
            "/sprite?sheet=0&side=train",
            "/sprite?sheet=1&side=train",
            "/sprite?sheet=0&side=queries",
        } <= found.keys()
    elif kind != "none":
        listed = [
            row["position"] for key, value in found.items() if key.startswith("/api/rows") for row in value["rows"]
        ]
        shown = [row["position"] for key, value in found.items() if "/why" in key for row in value["helpful"]]
        assert set(shown) <= set(listed)


def page_text(value: Any) -> str:
    from whence.explorer.packed import text

    return text(value)


def test_queries_are_numbered_anew(client: Client, made: Made) -> None:
    found = held(written(client, queries="3,1"))
    assert found["/api/about"]["counts"]["queries"] == 2
    first = found["/api/why?k=12&method=influence&query=0"]
    assert first["query"] == {**client.get("/api/why", query=3, method="influence")["query"], "position": 0}
    assert first["helpful"] == client.get("/api/why", query=3, method="influence")["helpful"]
    assert not any("query=2" in key for key in found)


def test_only_the_chosen_methods_are_in_it(visit: Visit, made: Made) -> None:
    with made.opened() as run:
        run.save("second", made.array())
    client = visit(made.folder)
    found = held(written(client, queries="0", methods="second"))
    assert [method["name"] for method in found["/api/about"]["methods"]] == ["second"]
    assert not any("method=influence" in key for key in found)


def test_nothing_of_the_run_becomes_markup(visit: Visit, tmp_path: Path) -> None:
    client = visit(Made(tmp_path / "run", kind="text", words=True).write())
    text = written(client)
    assert [words for words in HOSTILE if "<" in words and words in text] == []
    assert text.count("<script") == text.count("</script>") == 5 - 1
    assert "<!--" not in text.partition("whence-data")[2].partition("</script>")[0]


def test_its_policy_names_each_script_and_nothing_outside(client: Client) -> None:
    text = written(client)
    assert text.startswith(MARK)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert text.index("Content-Security-Policy") < text.index("<script")
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert "unsafe" not in policy
    assert "http" not in policy
    scripts = re.findall(r'<script type="(importmap|module)">(.*?)</script>', text, re.DOTALL)
    (zipped,) = re.findall(r'id="whence-plotly">(.*?)</script>', text)
    plotly = gzip.decompress(base64.b64decode(zipped))
    assert plotly == page.plotly().content
    wanted = {digest(content.encode()) for _, content in scripts} | {digest(plotly)}
    assert set(rules["script-src"].split()) == {"data:", *wanted}
    (style,) = re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL)
    assert rules["style-src"] == digest(style.encode())
    imports = json.loads(dict(scripts)["importmap"])["imports"]
    assert "whence/page" in imports
    assert all(address.startswith("data:text/javascript;base64,") for address in imports.values())
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert client.served.token not in text


def digest(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def test_a_large_training_set_is_pictured_where_it_is_listed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FULL", 10)
    found = held(written(client, queries="0"))
    positions = {
        row["position"]
        for key, value in found.items()
        if key.startswith(("/api/why", "/api/suspicious"))
        for rows in (value.get("helpful", []), value.get("harmful", []), value.get("rows", []))
        for row in rows
    }
    sheets = {int(re.findall(r"sheet=(\d+)&side=train", key)[0]) for key in found if "side=train" in key}
    assert sheets == {position // 256 for position in positions}
    whole = client.http.get("/sprite", params={"side": "train", "sheet": 0}).content
    assert found["/sprite?sheet=0&side=train"] != f"data:image/png;base64,{base64.b64encode(whole).decode()}"


def test_too_much_for_one_file_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "LARGEST", 300 * 16 // 3 * 3 + 10)
    words = client.get("/api/report", 400, queries="0,1,2,3", methods="influence")["error"]
    assert "at most 3 (queries times methods)" in words
    assert client.http.get("/api/report", params={"queries": "0,1,2", "methods": "influence"}).status_code == 200

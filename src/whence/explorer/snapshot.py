"""The page of chosen queries in one file: the same page, with the server's answers in it instead of a server."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from typing import Any

from whence.explorer import page, suspicious
from whence.explorer.answers import answer, key
from whence.explorer.packed import text
from whence.explorer.reader import Reader
from whence.explorer.refused import Refused
from whence.explorer.sides import DIMS, Side
from whence.explorer.sprites import TILES, drawn, sheets

LISTED = 50
"""Rows of the table of suspicious labels."""
FULL = 10_000
"""Up to so many training examples a report holds all their pictures."""
LARGEST = 64_000_000
"""Bytes of scores that a report may hold, so that a browser still opens it."""
START = 'import "whence/page";'


def snapshot(reader: Reader) -> str:
    """The HTML text; ``reader``: of the chosen queries and methods, see :meth:`Reader.chosen`.

    Raises Refused if the file would be too large.
    """
    _check_size(reader)
    imports = page.import_map({name: _data("text/javascript", file.content) for name, file in page.modules().items()})
    style = page.static()["style.css"].content.decode() if "style.css" in page.static() else ""
    plotly = page.plotly().content
    policy = (
        f"default-src 'none'; script-src data: {page.source(imports)} {page.source(START)} {page.source(plotly)}; "
        f"style-src {page.source(style)}; img-src data: blob:; {page.COMMON}"
    )
    held = dict(answers(reader))
    title = held["/api/about"]["title"]
    held |= dict(_sprites(reader, held))
    data = "{" + ",".join(f"{text(name)}:{text(value)}" for name, value in held.items()) + "}"
    start = (
        f'<script type="application/json" id="whence-data">{data}</script>\n'
        '<script type="application/octet-stream" id="whence-plotly">'
        f"{base64.b64encode(gzip.compress(plotly, 9, mtime=0)).decode()}</script>\n"
        f'<script type="module">{START}</script>'
    )
    made = page.filled("", title, imports)
    made = _between(made, "style", f'<style id="plotly.js-style-global">{style}</style>')
    made = _between(made, "start", start)
    return _marked(made, policy)


def answers(reader: Reader) -> Iterator[tuple[str, Any]]:
    """The questions that the page asks about these queries and methods, and the server's answers."""

    def put(path: str, **parameters: Any) -> tuple[str, Any]:
        return key(path, **parameters), answer(reader, path, [(name, str(value)) for name, value in parameters.items()])

    for path in ("/api/about", "/api/queries", "/api/train"):
        yield put(path)
    for name in reader.maps:
        yield put("/api/map", name=name)
    methods = reader.methods
    truths = dict.fromkeys(truth.name for kept in methods.values() for truth in reader.comparable(kept))
    listed: dict[str, set[int]] = {"train": set(), "queries": set(range(len(reader.queries)))}
    for query in range(len(reader.queries)):
        for method in methods:
            name, found = put("/api/why", k=reader.k, method=method, query=query)
            listed["train"] |= {row["position"] for side in ("helpful", "harmful") for row in found[side]}
            yield name, found
            yield put("/api/scores", method=method, query=query)
        for truth in truths:
            yield put("/api/actual", query=query, truth=truth)
    for sign in suspicious.SIGNS:
        if sign in reader.train.columns:
            name, found = put("/api/suspicious", by=sign, k=LISTED, offset=0)
            listed["train"] |= {row["position"] for row in found["rows"]}
            yield name, found
    if reader.about.get("kind") in ("text", "features"):
        yield from _rows(put, listed)


def _rows(put: Any, listed: dict[str, set[int]]) -> Iterator[tuple[str, Any]]:
    """Texts or features of the examples that stand in any list."""
    for side, positions in listed.items():
        order = sorted(positions)
        for begin in range(0, len(order), 200):
            yield put("/api/rows", side=side, positions=",".join(map(str, order[begin : begin + 200])))


def _sprites(reader: Reader, held: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Sheets of thumbnails: all, or those with examples that stand in a list, and these examples only."""
    listed = {
        row["position"]
        for name, found in held.items()
        if name.startswith(("/api/why?", "/api/suspicious?"))
        for rows in (found.get("helpful", []), found.get("harmful", []), found.get("rows", []))
        for row in rows
    }
    for name in DIMS:
        side: Side = reader.side(name)
        if reader.exhibit.pictures(name) is None:
            continue
        only = None if name == "queries" or len(side) <= FULL else frozenset(listed)
        numbers = range(sheets(side)) if only is None else sorted({position // TILES for position in only})
        for number in numbers:
            yield key("/sprite", sheet=number, side=name), _data("image/png", drawn(reader, side, number, only))


def _check_size(reader: Reader) -> None:
    # A float32 takes 16/3 bytes in base64.
    room = LARGEST * 3 // (16 * max(1, len(reader.train)))
    asked = len(reader.queries) * len(reader.methods)
    if asked > room:
        raise Refused(
            f"{asked:,} lists of {len(reader.train):,} scores are too much for one file; choose fewer queries or "
            f"methods: at most {max(1, room):,} (queries times methods)"
        )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _between(made: str, name: str, content: str) -> str:
    """Puts ``content`` where the template has something for a page that is served."""
    before, _, rest = made.partition(f"<!--{name}-->")
    _, _, after = rest.partition(f"<!--/{name}-->")
    return f"{before}{content}{after}"


def _marked(made: str, policy: str) -> str:
    """The page with its policy and with the mark by which a report of ours is known."""
    from whence.document.html import MARK

    _, _, rest = made.partition("<head>\n")
    return f'{MARK}<meta http-equiv="Content-Security-Policy" content="{policy}">\n{rest}'

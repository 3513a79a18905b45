"""A reader of HTML that knows which elements, attributes and texts a document has, and small PNG files."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

ABOUT: dict[str, Any] = {
    "format": "whence-run",
    "schema": 1,
    "kind": "study",
    "config": {"study": "digits", "data": {"train": "40 examples abc"}},
    "versions": {"whence": "9.9.9", "torch": None},
    "commit": "c0ffee",
    "started": "2026-11-24T09:52:13.782573+00:00",
}
VOID = {"meta", "link", "img", "wbr", "br"}


@dataclass
class Page(HTMLParser):
    """What a browser would see. Tags that do not close as they opened are an error."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.stack[-1] if self.stack else "", data))

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def attributes(self, name: str) -> list[str]:
        return [found[name] for _, found in self.tags if name in found]

    @property
    def visible(self) -> str:
        return "".join(text for tag, text in self.texts if tag not in ("style", "title"))

    def levels(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.tags if tag in ("h1", "h2", "h3", "h4")]


ALLOWED = {"html", "head", "body", "meta", "link", "title", "style", "header", "nav", "main", "section", "article"}
ALLOWED |= {"footer", "h1", "h2", "h3", "h4", "p", "a", "ol", "ul", "li", "div", "span", "wbr"}
ALLOWED |= {"table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"}


def check(page: Page) -> None:
    """What holds for every document."""
    assert page.names <= ALLOWED
    links = page.attributes("href")
    assert all(link == "data:," or link.startswith("#") for link in links)
    assert all(source.startswith("data:image/png;base64,") for source in page.attributes("src"))
    names = [name for _, found in page.tags for name in found]
    assert not [name for name in names if name.startswith("on") or name in ("style", "srcset", "action")]
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)
    levels = page.levels()
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    policy = next(found["content"] for _, found in page.tags if "http-equiv" in found)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 3, height: int = 2, grey: int = 128, dots: int = 0) -> bytes:
    """A grey picture; ``dots`` a metre are stated if not 0."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    size = _chunk(b"pHYs", struct.pack(">IIB", dots, dots, 1)) if dots else b""
    rows = _chunk(b"IDAT", zlib.compress((b"\0" + bytes([grey]) * width) * height))
    return b"\x89PNG\r\n\x1a\n" + head + size + rows + _chunk(b"IEND", b"")

"""A document as a browser reads it, and pictures in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from html_page import ABOUT, Page, check, png

from whence.document import document
from whence.studies.study import Report


@pytest.fixture
def read() -> Callable[[str], Page]:
    def call(text: str) -> Page:
        page = Page()
        page.feed(text)
        page.close()
        assert page.stack == []
        return page

    return call


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., str]:
    """Writes a PNG into the run folder and returns its name there."""

    def write(name: str, data: bytes | None = None) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png() if data is None else data)
        return name

    return write


@pytest.fixture
def made(tmp_path: Path, read: Callable[[str], Page]) -> Callable[..., Page]:
    def call(report: Report, about: dict[str, Any] = ABOUT) -> Page:
        page = read(document(report, about, tmp_path))
        check(page)
        return page

    return call

"""Figures of a document: embedded once, replaced by a message if broken, refused if outside the run folder."""

from __future__ import annotations

import base64
from pathlib import Path

from html_page import ABOUT, check, png

from whence.document import document
from whence.studies.section import Section
from whence.studies.study import Report


def test_a_figure_is_embedded_once(made, picture, tmp_path: Path) -> None:
    data = png(300, 200, dots=5906)
    name = picture("figures/a.png", data + b"what follows its end")
    sections = [Section("Figure 1", "first", figures=(name, name)), Section("Figure 2", "other", figures=(name,))]
    report = Report("x", figures=[name, "figures/./a.png"], sections=sections)
    page = made(report)
    (source,) = page.attributes("src")
    assert base64.b64decode(source.partition(",")[2]) == data
    image = next(found for tag, found in page.tags if tag == "img")
    assert (image["width"], image["height"]) == ("192", "128")
    assert image["alt"] == "Figure 1 first: a"
    assert page.visible.count("stands under Figure 1 first") == 3
    assert len(document(report, ABOUT, tmp_path)) < len(source) + 20_000


def test_a_figure_that_is_not_there_is_a_message(made, picture) -> None:
    broken = bytearray(png())
    broken[20] ^= 1
    given = {
        "figures/none.png": None,
        "figures": None,
        "figures/text.png": b"<svg onload=alert(1)>",
        "figures/empty.png": b"",
        "figures/cut.png": png()[:-5],
        "figures/half.png": png(500, 500)[:60],
        "figures/altered.png": bytes(broken),
        "figures/huge.png": png().replace(png()[16:33], _head(60_000, 60_000)),
        "figures/nul\0.png": None,
        "x" * 5000: None,
        "": None,
        ".": None,
    }
    for name, data in given.items():
        if data is not None:
            picture(name, data)
    page = made(Report("x", figures=[*given]))
    assert page.attributes("src") == []
    assert page.visible.count("Figure not shown: ") == len(given)
    for words in ("is missing from the run folder", "is no PNG file", "its end is missing", "a checksum does not fit"):
        assert words in page.visible


def _head(width: int, height: int) -> bytes:
    return png(1, 1)[16:33].replace(png(1, 1)[16:24], width.to_bytes(4) + height.to_bytes(4))


def test_figures_outside_the_folder_are_refused(tmp_path: Path, read) -> None:
    folder, secret = tmp_path / "run", tmp_path / "secret.png"
    (folder / "figures").mkdir(parents=True)
    secret.write_bytes(png())
    (folder / "in.png").write_bytes(png())
    (folder / "link.png").symlink_to(secret)
    (folder / "inner.png").symlink_to(folder / "in.png")
    (folder / "away").symlink_to(tmp_path)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    names = ["../secret.png", str(secret), "figures/../../secret.png", "link.png", "inner.png", "away/secret.png"]
    page = read(document(Report("x", figures=[*names, "loop.png"]), ABOUT, folder))
    check(page)
    assert page.attributes("src") == []
    assert page.visible.count("Figure not shown: ") == 7
    # A run folder may itself be reached over a link.
    (tmp_path / "alias").symlink_to(folder)
    page = read(document(Report("x", figures=["in.png"]), ABOUT, tmp_path / "alias"))
    assert len(page.attributes("src")) == 1

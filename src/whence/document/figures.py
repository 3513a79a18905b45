"""Figures inside the document: PNG files of the run folder as data URIs, each once, or a message in their place."""

from __future__ import annotations

import base64
import os
from pathlib import Path, PurePosixPath

from whence.document import png
from whence.document.markup import Anchors, text

LARGEST = 25_000_000
"""Bytes of one figure; more is no plot, and would make a document that no browser opens gladly."""


class FigureError(ValueError):
    """A figure that cannot be shown."""


class Figures:
    """The figures of one document."""

    def __init__(self, folder: Path, anchors: Anchors) -> None:
        self._folder = folder
        self._anchors = anchors
        self._shown: dict[str, tuple[str, str]] = {}

    def show(self, name: str, words: str) -> str:
        """The figure, a link to where it already stands, or why it is not here; ``words``: what it belongs to."""
        path = PurePosixPath(name)
        if str(path) in self._shown:
            anchor, where = self._shown[str(path)]
            return f'<p class="note">{text(name)} stands under <a href="#{anchor}">{text(where)}</a>.</p>\n'
        try:
            data = read(self._folder, name)
            image = png.parse(data)
        except (FigureError, png.PngError) as error:
            return f'<p class="note missing">Figure not shown: {text(error)}.</p>\n'
        place = self._anchors.new(f"picture {path.stem}")
        self._shown[str(path)] = (place, words)
        return self._figure(place, image, f"{words}: {path.stem.replace('-', ' ')}", name)

    def _figure(self, place: str, image: png.Image, alt: str, name: str) -> str:
        """A card that its own anchor enlarges (see ``:target`` in look.css) and another anchor puts back."""
        large = self._anchors.new(f"{place} large")
        width, height = image.size
        # Not decoding="async": printed or photographed at once, the card would be empty.
        data = base64.b64encode(image.data).decode()
        return (
            f'<figure id="{place}">\n<div class="stage" id="{large}">\n'
            f'<a class="card" href="#{large}" title="Enlarge"><img src="data:image/png;base64,{data}" '
            f'alt="{text(alt)}" width="{width}" height="{height}"></a>\n'
            f'<a class="close" href="#{place}">Close</a>\n</div>\n<figcaption>{text(name)}</figcaption>\n</figure>\n'
        )


def read(folder: Path, name: str) -> bytes:
    """The bytes of a file of the run folder; raises FigureError if it is missing, too large or lies outside.

    A link is refused wherever it points: a run holds its figures itself.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise FigureError(f"{name!r} is no path inside the run folder")
    place = folder.resolve().joinpath(*path.parts)
    try:
        # Path.resolve raises RuntimeError where links go round in a circle.
        if os.path.realpath(place) != str(place):
            raise FigureError(f"{name!r} is a link or lies behind one")
        if not place.is_file():
            raise FigureError(f"{name!r} is missing from the run folder")
        if place.stat().st_size > LARGEST:
            raise FigureError(f"{name!r} is larger than {LARGEST // 1_000_000} MB")
        return place.read_bytes()
    except (OSError, UnicodeError) as error:
        raise FigureError(f"{name!r} cannot be read") from error

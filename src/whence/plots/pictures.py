"""Panels of pictures side by side, as in Figures 5.1, 5.9 and 5.10 of Brinkman and Larsson Hörkén (Chalmers 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from whence.plots import labelled, parts, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

CELL = 1.35
NARROWEST = 2.6
MOST = 6


@dataclass(frozen=True)
class Panel:
    """Pictures, [h, w] in grey or [h, w, 3] in colour, each with a caption of one or two short lines."""

    heading: str
    pictures: Sequence[tuple[npt.NDArray[Any], str]]


def picture_grid(panels: Sequence[Panel], heading: str = "") -> Figure:
    """Panels side by side, each a grid of pictures as square as possible, read line by line.

    Raises ValueError without a panel, for more than six, and for a picture of another shape.
    """
    listed = labelled.panels(panels, MOST)
    across = [max(math.ceil(math.sqrt(len(panel.pictures))), 1) for panel in listed]
    down = max(math.ceil(len(panel.pictures) / columns) for panel, columns in zip(listed, across, strict=True))
    widths = [max(CELL * columns, NARROWEST) for columns in across]
    lines = max((caption.count("\n") + 1 for panel in listed for _, caption in panel.pictures if caption), default=0)
    cell = min(width / columns for width, columns in zip(widths, across, strict=True))
    # Every panel has headings and captions of as many lines, so that their pictures stand in line.
    headings = [style.folded([panel.heading], width) for panel, width in zip(listed, widths, strict=True)]
    tall = max(words.count("\n") for words in headings)
    figure = style.new_figure(sum(widths) + 0.3, max(down, 1) * (cell + 0.2 * lines) + 0.6 + 0.35 * bool(heading))
    if heading:
        figure.suptitle(style.folded([heading], sum(widths)), fontsize=style.TITLE, color=style.INK)
    drawn = figure.subfigures(1, len(listed), squeeze=False, width_ratios=widths, wspace=0.06)[0]
    for part, panel, columns, words in zip(drawn, listed, across, headings, strict=True):
        if any(headings):
            words += "\n " * (tall - words.count("\n"))
            part.suptitle(words or " ", fontsize=style.TITLE, color=style.INK)
        _draw(part, panel, (max(down, 1), columns), lines)
    return figure


def _draw(part: SubFigure, panel: Panel, shape: tuple[int, int], lines: int) -> None:
    every = part.subplots(*shape, squeeze=False).ravel()
    for axes in every:
        parts.bare(axes)
    for axes, (pixels, caption) in zip(every, panel.pictures, strict=False):
        parts.show(axes, pixels)
        letters = int(max(CELL, NARROWEST / shape[1]) * 72 / (0.6 * style.SMALL))
        words = [style.short(line, letters) for line in caption.split("\n")]
        words += [" "] * (lines - len(words))
        axes.set_xlabel("\n".join(words), fontsize=style.SMALL, color=style.INK, labelpad=3)
    for axes in every[max(len(panel.pictures), 1) :]:
        axes.set_visible(False)
    if not panel.pictures:
        style.say(every[0], "no pictures")

"""One quantity of the training examples against another, by class.

As in Figures 5.6, 5.7, 5.11 and 5.17 of Brinkman and Larsson Hörkén (MSc thesis, Chalmers 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import labelled, parts, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 3
WIDTH = 5.0


@dataclass(frozen=True)
class Versus:
    """``x`` and ``y`` [train] of the same ids, one of them with ``train_label``; ``note``, such as "r = 0.21"."""

    x: xr.DataArray
    y: xr.DataArray
    title: str
    note: str = ""


def against(panels: Sequence[Versus]) -> Figure:
    """One to three panels of points, one a training example, coloured and marked by ``train_label``.

    The axes say ``quantity`` and ``unit`` of the attributes, the line under the title n and the panel's note. Points
    without a finite value are left out, and the picture says how many. Arrays are aligned by id.
    Raises ResultError for other dimensions, ids in only one array, no labels or no quantity, ValueError for too many
    panels.
    """
    listed = labelled.panels(panels, MOST)
    data = [_laid(panel) for panel in listed]
    marks = style.class_marks(*[label for _, label in data])
    figure = style.new_figure(WIDTH * len(listed) + 1.1, 4.9)
    every = figure.subplots(1, len(listed), squeeze=False)[0]
    for axes, panel, (xy, label) in zip(every, listed, data, strict=True):
        _draw(axes, panel, xy)
        finite = np.isfinite(xy).all(axis=1)
        parts.points_by_class(axes, xy[finite], label[finite], marks)
        left_out = f"{(~finite).sum()} without a finite value, not drawn" if not finite.all() else ""
        lines = [panel.title, ", ".join(part for part in (f"n = {finite.sum()}", panel.note) if part), left_out]
        style.title(axes, lines, 1 / len(listed) * 0.85)
    if marks:
        parts.class_legend(figure, marks, "class")
    return figure


def _laid(panel: Versus) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    x, y = labelled.check(panel.x, ("train",)), labelled.check(panel.y, ("train",))
    y = labelled.on_ids_of(x, y)
    return np.column_stack([labelled.floats(x), labelled.floats(y)]), labelled.classes(x, y)


def _draw(axes: Axes, panel: Versus, xy: npt.NDArray[Any]) -> None:
    style.plain(axes, style.quantity(panel.x.attrs), style.quantity(panel.y.attrs))
    style.scientific(axes, "xy")
    axes.locator_params(nbins=6)
    finite = xy[np.isfinite(xy).all(axis=1)]
    if len(finite) == 0:
        style.say(axes, "no example with finite values")
        return
    # A zero line only where zero lies among the values, so that it does not squeeze them.
    for values, line in ((finite[:, 0], axes.axvline), (finite[:, 1], axes.axhline)):
        if values.min() <= 0 <= values.max():
            line(0, color=style.FAINT, linewidth=0.8, zorder=0)

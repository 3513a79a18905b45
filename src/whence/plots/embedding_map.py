"""Training examples in two dimensions, as in Figure 5.8 of Brinkman and Larsson Hörkén (MSc thesis, Chalmers 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import labelled, parts, style
from whence.results import ResultError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 2
SIDE = 5.6
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Embedding:
    """``points`` ("train", "axis") and, if any, ``queries`` ("query", "axis"), with ids; ``title`` or attrs["method"].

    ``points`` carries ``train_prediction``, ``train_label`` or both; an ``axis`` coordinate names the axes.
    """

    points: xr.DataArray
    queries: xr.DataArray | None = None
    title: str = ""


def embedding_map(panels: Sequence[Embedding]) -> Figure:
    """One or two maps of the training examples by predicted class, the class's name at the median of its points.

    Examples whose prediction is not their label are ringed; queries are stars with their id. Without predictions the
    labels are drawn. Points that are not finite are left out, and the picture says how many.
    Raises ResultError for other dimensions or without labels and predictions, ValueError for too many panels.
    """
    listed = labelled.panels(panels, MOST)
    classes = [_classes(panel) for panel in listed]
    marks = style.class_marks(*classes)
    figure = style.new_figure(SIDE * len(listed) + 1.5, SIDE + 0.5)
    every = figure.subplots(1, len(listed), squeeze=False)[0]
    wrong = sum(_draw(axes, panel, found, marks) for axes, panel, found in zip(every, listed, classes, strict=True))
    coloured = "predicted class" if "train_prediction" in listed[0].points.coords else "class"
    if marks:
        starred = any(panel.queries is not None and panel.queries.sizes["query"] for panel in listed)
        parts.class_legend(figure, marks, coloured, _more(wrong > 0, starred))
    return figure


def _classes(panel: Embedding) -> Array:
    points = labelled.check(panel.points, ("train", "axis"))
    both = (points, panel.queries) if panel.queries is not None else (points,)
    if panel.queries is not None:
        labelled.check(panel.queries, ("query", "axis"))
    if any(part.sizes["axis"] != 2 for part in both):
        raise ResultError("a map has two axes; choose them with array.isel(axis=[0, 1])")
    found: Array = (
        points["train_prediction"].values if "train_prediction" in points.coords else labelled.classes(points)
    )
    return found


def _draw(axes: Axes, panel: Embedding, classes: Array, marks: Mapping[Any, tuple[str, str]]) -> int:
    """Draw one map; the number of wrongly predicted points."""
    points, xy = panel.points, labelled.floats(panel.points)
    named = points["axis"].values.tolist() if "axis" in points.coords else [0, 1]
    words = [
        style.literal(name) if isinstance(name, str) else f"axis {number + 1}" for number, name in enumerate(named)
    ]
    style.plain(axes, *words)
    style.scientific(axes, "xy")
    axes.set_aspect("equal", adjustable="datalim")
    finite = np.isfinite(xy).all(axis=1)
    wrong = np.zeros(len(xy), dtype=bool)
    if {"train_label", "train_prediction"} <= set(points.coords):
        wrong = finite & (points["train_label"].values != classes)
    parts.points_by_class(axes, xy[finite], classes[finite], marks)
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": style.INK, "linewidths": 0.9}
    axes.scatter(xy[wrong, 0], xy[wrong, 1], s=45, zorder=4, **ring)
    _name(axes, xy[finite], classes[finite], panel.queries)
    lines = [panel.title or str(points.attrs.get("method", "")), f"n = {finite.sum()}"]
    lines[1] += f", {wrong.sum()} wrongly predicted" if "train_label" in points.coords and wrong.any() else ""
    lines.append(f"{(~finite).sum()} without finite coordinates, not drawn" if not finite.all() else "")
    style.title(axes, lines, SIDE / axes.figure.get_figure(root=True).get_figwidth())
    if not finite.any():
        style.say(axes, "no point with finite coordinates")
    return int(wrong.sum())


def _name(axes: Axes, xy: Array, classes: Array, queries: xr.DataArray | None) -> None:
    """Stars, their ids above them and the names of the classes, none of them on another."""
    stars, asked = np.empty((0, 2)), list[str]()
    if queries is not None:
        finite = np.isfinite(labelled.floats(queries)).all(axis=1)
        stars = labelled.floats(queries)[finite]
        asked = [f"query {style.short(identity)}" for identity in queries["query"].values[finite].tolist()]
        look: dict[str, Any] = {"s": 330, "marker": "*", "color": style.INK, "edgecolors": "white", "zorder": 7}
        axes.scatter(stars[:, 0], stars[:, 1], linewidths=1.2, **look)
    everything = np.concatenate([xy, stars])
    if len(everything) == 0:
        return
    # What a typographic point measures in units of the data, both axes having the same scale.
    point = (float(np.ptp(everything, axis=0).max()) or 0.1 * style.colour_limit(everything)) / (0.8 * SIDE * 72)
    line = 1.35 * style.LABEL * point
    sizes, mark = parts.extent(asked, point), np.full(stars.shape, line)
    up = np.array([0.0, line])
    taken = parts.apart(np.concatenate([stars + up, stars]), np.concatenate([sizes, mark]), len(asked))[: len(asked)]
    parts.write(axes, taken, asked, "normal")
    found = list(style.class_marks(classes))
    names = [style.short(name) for name in found]
    medians = np.array([np.median(xy[classes == name], axis=0) for name in found]).reshape(-1, 2)
    # A star and its id are one box, so that no name comes to lie between them.
    boxes = np.concatenate(
        [parts.extent(names, point), np.column_stack([sizes[:, 0], np.abs(taken - stars)[:, 1] + line])]
    )
    places = parts.apart(np.concatenate([medians, (taken + stars) / 2]), boxes, len(names))
    parts.write(axes, places[: len(names)], names, "bold")


def _more(wrong: bool, starred: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "none", "color": style.INK}
    ring = Line2D([], [], marker="o", markerfacecolor="none", markersize=7, label="wrongly\npredicted", **look)
    star = Line2D([], [], marker="*", markersize=13, label="query", **look)
    return [ring] * wrong + [star] * starred

"""Influence of the points of a two-dimensional data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import results
from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST, LARGEST = 14.0, 260.0
# Blue for helpful, red for harmful, told apart with any common colour blindness.
COLOURS = "RdBu"


def point_influence(
    xy: npt.NDArray[Any],
    label: npt.NDArray[Any],
    values: xr.DataArray | npt.NDArray[Any],
    highlight: Iterable[Any] = (),
) -> Figure:
    """Points ``xy`` [n, 2] with a marker by class (``label`` [n]) and size and colour by influence ``values`` [n].

    ``values`` may be one row of scores: its ids, quantity and unit are then used; without it ids are positions.
    Points whose id is in ``highlight`` are ringed and named. Grey crosses are points without a finite value.
    Raises ValueError if lengths differ, ResultError if a highlighted id is absent.
    """
    xy, label = np.asarray(xy, dtype=np.float64), np.asarray(label)
    numbers = np.asarray(values, dtype=np.float64)
    if xy.shape != (len(numbers), 2) or label.shape != numbers.shape:
        raise ValueError(f"xy must be [n, 2], label and values [n], not {xy.shape}, {label.shape} and {numbers.shape}")
    ids = values["train"].values.tolist() if isinstance(values, xr.DataArray) else list(range(len(numbers)))
    words = style.quantity(values.attrs) if isinstance(values, xr.DataArray) and values.attrs else "influence"
    figure = style.new_figure(7.0, 5.4)
    axes = figure.add_subplot()
    style.plain(axes, "first feature", "second feature")
    if isinstance(values, xr.DataArray) and "query" in values.coords:
        style.title(axes, [style.query_words(values), str(values.attrs["method"])])
    _draw(figure, axes, (xy, label, numbers), words)
    _ring(axes, xy, ids, list(highlight))
    axes.margins(0.08)
    if len(numbers) == 0:
        style.say(axes, "no points")
    return figure


def _draw(figure: Figure, axes: Axes, data: tuple[Any, Any, Any], words: str) -> None:
    xy, label, values = data
    finite = np.isfinite(values)
    limit = style.symmetric_limit(values) / 1.08
    size = SMALLEST + (LARGEST - SMALLEST) * np.abs(np.where(finite, values, 0.0)) / limit
    drawn: Any = None
    for number, name in enumerate(np.unique(label)):
        mine = np.flatnonzero(finite & (label == name))
        # Large marks first, so that they never bury the small ones.
        mine = mine[np.argsort(-size[mine], kind="stable")]
        marks: dict[str, Any] = {"marker": style.MARKERS[number % len(style.MARKERS)], "edgecolors": style.INK}
        tint: dict[str, Any] = {"c": values[mine], "cmap": COLOURS, "vmin": -limit, "vmax": limit}
        drawn = axes.scatter(xy[mine, 0], xy[mine, 1], s=size[mine], linewidths=0.5, **tint, **marks)
        axes.scatter([], [], s=50, facecolors="white", linewidths=0.9, label=f"class {style.short(name, 24)}", **marks)
    if not finite.all():
        axes.scatter(xy[~finite, 0], xy[~finite, 1], s=30, marker="x", color=style.GREY, label="no finite value")
    if len(values):
        axes.legend(fontsize=style.SMALL, frameon=True, framealpha=0.9, edgecolor="none", loc="best")
    if finite.any():
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85)
        bar.set_label(words, fontsize=style.LABEL)
        bar.ax.tick_params(labelsize=style.SMALL)
        bar.outline.set_visible(False)
        style.scientific(bar.ax, "y")


def _ring(axes: Axes, xy: npt.NDArray[Any], ids: list[Any], highlight: list[Any]) -> None:
    absent = [identity for identity in highlight if identity not in ids]
    if absent:
        raise results.ResultError(f"no point has the ids {absent[:5]}; highlight ids that the values carry")
    for identity in highlight:
        point = xy[ids.index(identity)]
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": style.INK, "linewidths": 1.4}
        axes.scatter(point[0], point[1], s=LARGEST + 160, zorder=5, **ring)
        # Above and to the left or right, whichever side lies inside the picture.
        right = point[0] < np.nanmedian(xy[:, 0])
        axes.annotate(
            style.literal(str(identity)),
            (point[0], point[1]),
            xytext=(14 if right else -14, 12),
            textcoords="offset points",
            ha="left" if right else "right",
            fontsize=style.SMALL,
            zorder=6,
        )

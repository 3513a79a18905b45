"""Pieces that several figures draw: one picture, the query, box plots, points by class with names and a legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Picture: TypeAlias = Callable[[Any], npt.NDArray[Any]]
"""From an id to a picture [height, width] in grey or [height, width, 3] in colour."""
PALE = "#C9C9C9"
# Points are drawn in turns of all classes, so that the last class does not bury the others.
TURNS = 12
COLUMN = 20


def show(axes: Axes, pixels: npt.NDArray[Any]) -> None:
    """One picture, [height, width] in grey (dark is large) or [height, width, 3]; ValueError for another shape."""
    bare(axes)
    image = np.asarray(pixels)
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] == 3):
        raise ValueError(f"a picture is [height, width] or [height, width, 3], not {image.shape}; reshape it")
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.spines[:].set_visible(True)


def query(part: SubFigure, row: xr.DataArray, picture: Picture | None) -> None:
    """The query that ``row`` is about with what is known of it, in words alone where there is no picture."""
    axes = part.add_subplot()
    words = "\n".join(style.short(word) for word in style.query_words(row).split(", "))
    if picture is None:
        bare(axes)
        style.say(axes, words)
        return
    show(axes, picture(row["query"].item()))
    axes.set_title(words, fontsize=style.TITLE, color=style.INK)


def bare(axes: Axes) -> None:
    """Axes without ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.spines[:].set_color(style.GREY)


def boxes(axes: Axes, groups: list[Any], colours: list[str]) -> None:
    """Box plots of groups [n] at 0, 1, ...: quartiles, whiskers to 1.5 of their range, the rest dots."""
    if not groups:
        return
    drawn = axes.boxplot(
        groups,
        positions=range(len(groups)),
        widths=0.6,
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": style.INK, "linewidth": 1.6},
        flierprops={"marker": "o", "markersize": 3.5, "markeredgewidth": 0.6, "alpha": 0.7},
    )
    for box, fliers, colour in zip(drawn["boxes"], drawn["fliers"], colours, strict=True):
        box.set(facecolor=colour, edgecolor=style.INK, linewidth=0.8)
        fliers.set(markeredgecolor=style.GREY if colour == PALE else colour, markerfacecolor="none")
    for line in [*drawn["whiskers"], *drawn["caps"]]:
        line.set(color=style.INK, linewidth=0.8)
    axes.set_xlim(-0.6, max(len(groups) - 0.4, 0.6))


def points_by_class(
    axes: Axes, xy: npt.NDArray[Any], label: npt.NDArray[Any], marks: Mapping[Any, tuple[str, str]]
) -> None:
    """Points ``xy`` [n, 2] in the colour and with the marker of their class; smaller and paler the more there are."""
    size = float(np.clip(34 * (100 / max(len(xy), 1)) ** 0.35, 7, 34))
    alpha = 0.8 if len(xy) <= 1000 else 0.6
    for turn in range(TURNS):
        for name, (colour, marker) in marks.items():
            mine = np.flatnonzero(label == name)[turn::TURNS]
            if len(mine):
                # A star of the same extent covers less.
                area = size * (1.6 if marker == "*" else 1.0)
                look: dict[str, Any] = {"s": area, "marker": marker, "color": colour, "alpha": alpha}
                axes.scatter(xy[mine, 0], xy[mine, 1], linewidths=0, zorder=2 + turn / TURNS, **look)


def class_legend(figure: Figure, marks: Mapping[Any, tuple[str, str]], heading: str, more: Sequence[Any] = ()) -> None:
    """One legend of all classes, and of ``more`` artists, to the right of all axes."""
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=7, label=style.short(name))
        for name, (colour, marker) in marks.items()
    ]
    figure.legend(
        handles=[*entries, *more],
        loc="outside right upper",
        title=heading,
        ncols=1 + (len(entries) + len(more) - 1) // COLUMN,
        fontsize=style.SMALL,
        title_fontsize=style.SMALL,
        frameon=False,
        handletextpad=0.3,
    )


def apart(at: npt.NDArray[Any], sizes: npt.NDArray[Any], moving: int) -> npt.NDArray[np.float64]:
    """Centres of boxes wanted at ``at`` [k, 2], the first ``moving`` moved up or down where one lay on another.

    ``sizes`` [k, 2]: width and height.
    """
    place = np.array(at, dtype=np.float64)
    for _ in range(200):
        moved = False
        for i, j in zip(*np.triu_indices(len(place), 1), strict=True):
            low, high = (i, j) if place[i, 1] <= place[j, 1] else (j, i)
            width, height = (sizes[i] + sizes[j]) / 2
            overlap = height - (place[high, 1] - place[low, 1])
            if i < moving and abs(place[i, 0] - place[j, 0]) < width and overlap > 1e-6 * height:
                lower = 0.5 if j < moving else float(low == i)
                place[low, 1], place[high, 1] = place[low, 1] - lower * overlap, place[high, 1] + (1 - lower) * overlap
                moved = True
        if not moved:
            break
    return place


def extent(names: Sequence[str], point: float) -> npt.NDArray[np.float64]:
    """About the width and height [k, 2] of names as ``write`` draws them, for ``point`` = 1/72 inch."""
    return np.array([(0.65 * len(name), 1.35) for name in names]).reshape(-1, 2) * style.LABEL * point


def write(axes: Axes, places: npt.NDArray[np.float64], names: Sequence[str], weight: str) -> None:
    """Names centred at places [k, 2], readable on top of points."""
    look: dict[str, Any] = {"fontsize": style.LABEL, "fontweight": weight, "color": style.INK, "path_effects": halo()}
    for name, (x, y) in zip(names, places.tolist(), strict=True):
        axes.text(x, y, name, ha="center", va="center", zorder=8, **look)


def halo() -> list[Any]:
    """A white edge around letters that stand on points."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=3, foreground="white")]

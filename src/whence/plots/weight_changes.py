"""How every parameter changed, a pixel each, as in Figure 5.19 of Brinkman and Larsson Hörkén (Chalmers 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import labelled, style
from whence.results import ResultError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 2
SIDE = 4.6
# A few parameters often move far more than the rest; the colours end at this quantile if they would else be all pale.
QUANTILE, TAIL = 0.995, 3.0


@dataclass(frozen=True)
class WeightChange:
    """``change`` [parameter] with the coordinate ``parameter_name``; attrs["norm"] is written, or else computed."""

    change: xr.DataArray
    title: str


def weight_changes(panels: Sequence[WeightChange], label: str = "change of the parameter") -> Figure:
    """One or two images with a pixel a parameter, in reading order and near square, coloured by its change.

    Each has its own colours, centred at zero; an arrow at the end of the bar says that some values lie beyond.
    Layers, the parameters whose names agree up to the last dot, are framed and named; where they are too many to
    name, the largest that do not lie on one another are. Raises ResultError for other dimensions or without names.
    """
    listed = labelled.panels(panels, MOST)
    figure = style.new_figure((SIDE + 2.0) * len(listed), SIDE + 0.9)
    every = figure.subplots(1, len(listed), squeeze=False)[0]
    for axes, panel in zip(every, listed, strict=True):
        change = panel.change
        if change.dims != ("parameter",) or "parameter_name" not in change.coords:
            raise ResultError(f"a change is [parameter] with the coordinate parameter_name, not {change.dims}")
        values = labelled.floats(change)
        norm = change.attrs.get("norm", float(np.linalg.norm(values[np.isfinite(values)])))
        lines = [panel.title, f"{len(values)} parameters, Euclidean norm {norm:.4g}"]
        style.title(axes, lines, 0.85 / len(listed))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(style.GREY)
        if not np.isfinite(values).any():
            style.say(axes, "no parameter with a finite change")
            continue
        _image(figure, axes, values, label)
        _layers(axes, [str(name).rpartition(".")[0] or str(name) for name in change["parameter_name"].values.tolist()])
    return figure


def _image(figure: Figure, axes: Axes, values: npt.NDArray[Any], label: str) -> None:
    size = np.abs(values[np.isfinite(values)])
    limit = float(np.quantile(size, QUANTILE))
    beyond = 0 < TAIL * limit < size.max()
    limit = limit if beyond else style.colour_limit(values)
    across = math.ceil(math.sqrt(len(values)))
    pixels = np.full(across * math.ceil(len(values) / across), np.nan)
    pixels[: len(values)] = values
    drawn = axes.imshow(
        pixels.reshape(-1, across), cmap=style.DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
    )
    axes.set_facecolor(style.FAINT)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.85, extend="both" if beyond else "neither")
    bar.set_label(style.literal(label), fontsize=style.LABEL)
    bar.ax.tick_params(labelsize=style.SMALL)
    bar.outline.set_visible(False)
    style.scientific(bar.ax, "y")


def _layers(axes: Axes, names: list[str]) -> None:
    """Lines where a layer ends and the next begins, and the names to the left, each with a line to its first pixel."""
    across = math.ceil(math.sqrt(len(names)))
    starts = [0, *[i for i in range(1, len(names)) if names[i] != names[i - 1]]]
    for start in starts[1:]:
        row, column = divmod(start, across)
        x = [-0.5, column - 0.5, column - 0.5, across - 0.5]
        axes.plot(x, [row + 0.5, row + 0.5, row - 0.5, row - 0.5], color=style.INK, linewidth=1.0)
    rows = math.ceil(len(names) / across)
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    sizes = np.diff([*starts, len(names)])
    line = 1.25 * style.SMALL / 72 / (0.9 * SIDE) * rows
    middle = np.array([(start + size / 2) / across - 0.5 for start, size in zip(starts, sizes, strict=True)])
    chosen = list(range(len(starts)))
    if len(starts) * line > rows:
        chosen = []
        for i in np.argsort(-sizes, kind="stable").tolist():
            if all(abs(middle[i] - middle[j]) >= line for j in chosen):
                chosen.append(i)
        chosen.sort()
    for i, at, place in zip(chosen, middle[chosen], _spread(middle[chosen], line, (-0.5, rows - 0.5)), strict=True):
        axes.annotate(
            style.short(names[starts[i]]),
            (-0.5, at),
            xytext=(-0.5 - 0.06 * across, place),
            annotation_clip=False,
            ha="right",
            va="center",
            fontsize=style.SMALL,
            color=style.INK,
            arrowprops={
                "arrowstyle": "-",
                "color": style.GREY,
                "linewidth": 0.8,
                "relpos": (1, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )
    if len(chosen) < len(starts):
        axes.set_xlabel(f"{len(starts) - len(chosen)} layers not named", fontsize=style.SMALL, color=style.INK)


def _spread(wanted: npt.NDArray[Any], line: float, ends: tuple[float, float]) -> npt.NDArray[Any]:
    """Places in rising order, at least ``line`` apart and as near to the wanted ones as this takes."""
    places = wanted.copy()
    for i in range(len(places)):
        places[i] = max(places[i], ends[0] + line / 2 if i == 0 else places[i - 1] + line)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ends[1] - line / 2 if i == len(places) - 1 else places[i + 1] - line)
    return places

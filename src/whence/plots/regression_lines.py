"""Points and the lines fitted with and without some of them: the classic picture of an influential example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = ("-", "--", "-.", ":")


def regression_lines(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    special: Mapping[str, tuple[float, float]],
    lines: Mapping[str, tuple[float, float]],
    axis_labels: tuple[str, str] = ("x", "y"),
) -> Figure:
    """Points ``x``, ``y`` [n], named ``special`` points (x, y) and named ``lines`` (intercept, slope).

    A special point and the line of the same name, the one fitted with it, share their colour; lines differ by dashes,
    special points by marker.
    Raises ValueError if ``x`` and ``y`` differ in length.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x and y must be two arrays of one length, not {x.shape} and {y.shape}")
    figure = style.new_figure(6.4, 4.6)
    axes = figure.add_subplot()
    style.plain(axes, *axis_labels)
    axes.scatter(x, y, s=26, color=style.GREY, alpha=0.8, linewidths=0, zorder=2)
    colours = _colours([*lines, *special])
    for number, (name, point) in enumerate(special.items()):
        marker = style.MARKERS[1 + number % (len(style.MARKERS) - 1)]
        axes.scatter(*point, s=80, marker=marker, color=colours[name], edgecolors="white", label=name, zorder=4)
    reach = np.concatenate([x, [point[0] for point in special.values()]])
    reach = reach[np.isfinite(reach)]
    if len(reach) == 0:
        style.say(axes, "no points")
        return figure
    margin = 0.05 * max(float(np.ptp(reach)), 1e-12)
    ends = np.array([reach.min() - margin, reach.max() + margin])
    for number, (name, (intercept, slope)) in enumerate(lines.items()):
        dashes = DASHES[number % len(DASHES)]
        label = f"with {name}" if name in special else name
        axes.plot(ends, intercept + slope * ends, dashes, color=colours[name], linewidth=1.8, label=label, zorder=3)
    if special or lines:
        axes.legend(fontsize=style.SMALL, frameon=True, framealpha=0.9, edgecolor="none", loc="best")
    return figure


def _colours(names: list[str]) -> dict[str, str]:
    distinct = list(dict.fromkeys(names))
    return {name: style.PALETTE[number % len(style.PALETTE)] for number, name in enumerate(distinct)}

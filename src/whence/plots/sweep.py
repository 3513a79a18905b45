"""Agreement with the truth as the damping changes, a line a method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("method", "damping", "value")


def damping_sweep(table: pd.DataFrame, label: str = "agreement", title: str = "") -> Figure:
    """A line a method over the damping on a logarithmic axis, with a band between ``low`` and ``high`` if given.

    Columns: method, damping, value and, where there are intervals, low and high. A damping of 0 stands at the left
    end, named 0. A value that is not finite leaves a gap.
    Raises ValueError if a column is missing, a damping negative or repeated within a method.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"the table lacks the columns {missing}; it needs {list(COLUMNS)}")
    damping = table["damping"].to_numpy(dtype=np.float64)
    if not (np.isfinite(damping) & (damping >= 0)).all():
        raise ValueError("a damping must be finite and at least 0")
    if table.duplicated(["method", "damping"]).any():
        raise ValueError("a method has several rows for one damping; choose a query or a sample first")
    figure = style.new_figure(8.0, 4.4)
    axes = figure.add_subplot()
    style.plain(axes, "damping", style.literal(label))
    style.title(axes, [title], 0.65)
    positive = damping[damping > 0]
    lowest = float(positive.min()) / 10 if len(positive) else 1e-3
    for number, (method, mine) in enumerate(table.groupby("method", sort=False)):
        _draw(axes, mine.sort_values("damping"), number, (str(method), lowest))
    axes.set_xscale("log")
    if (damping == 0).any():
        _name_zero(axes, lowest, float(damping.max()))
    if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, color=style.GREY, linewidth=1, zorder=1)
    if len(table):
        figure.legend(loc="outside right upper", fontsize=style.SMALL, frameon=False)
    if not np.isfinite(table["value"].to_numpy(dtype=np.float64)).any():
        style.say(axes, "no finite value")
    return figure


def _draw(axes: Axes, mine: pd.DataFrame, number: int, named: tuple[str, float]) -> None:
    method, lowest = named
    colour = style.PALETTE[number % len(style.PALETTE)]
    x, y = (mine[name].to_numpy(dtype=np.float64) for name in ("damping", "value"))
    some = x > 0
    look: dict[str, Any] = {"marker": style.MARKERS[number % len(style.MARKERS)], "markersize": 6, "linewidth": 1.8}
    # On this axis 0 is nowhere, so no line leads to it.
    axes.plot(x[some], y[some], color=colour, label=style.short(method, 32), zorder=3, **look)
    axes.plot(np.full((~some).sum(), lowest), y[~some], color=colour, zorder=3, **look)
    if {"low", "high"} <= set(mine.columns):
        low, high = (mine[name].to_numpy(dtype=np.float64) for name in ("low", "high"))
        axes.fill_between(x[some], low[some], high[some], color=colour, alpha=0.15, linewidth=0, zorder=2)
        axes.vlines(np.full((~some).sum(), lowest), low[~some], high[~some], color=colour, alpha=0.4, linewidth=2.2)


def _name_zero(axes: Axes, lowest: float, largest: float) -> None:
    """Ticks at 0, where the logarithmic axis has its left end, and at powers of ten."""
    powers = np.arange(np.ceil(np.log10(lowest) + 0.5), np.floor(np.log10(max(largest, lowest)) + 1e-9) + 1)
    powers = powers[:: max(1, len(powers) // 7)]
    names = [f"$10^{{{int(power)}}}$" for power in powers]
    axes.set_xticks([lowest, *(10.0**powers)], ["0", *names])
    axes.minorticks_off()

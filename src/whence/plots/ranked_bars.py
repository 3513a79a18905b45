"""Named values with their intervals, in order: how well each of several predictors does, for example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("name", "value", "low", "high")


def ranked_bars(
    table: pd.DataFrame, label: str = "", title: str = "", reference: str = "reference", digits: int = 3
) -> Figure:
    """A line a row of ``table``, the largest on top: its value as a point, its interval as a bar, both written.

    Columns: name, value, low, high and, where another source gives a number, ``reference``, drawn hollow and called
    ``reference`` in the legend. Rows without a finite value stand last and say so; an interval that is not finite is
    not drawn. Raises ValueError if a column is missing.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"the table lacks the columns {missing}; it needs {list(COLUMNS)}")
    ranked = table.sort_values("value", ascending=False, na_position="last", kind="stable")
    figure = style.new_figure(8.0, max(0.36 * len(table), 1.2) + 1.5)
    axes = figure.add_subplot()
    style.plain(axes, style.literal(label))
    style.title(axes, [title], 0.5)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(ranked)), [style.short(name, 40) for name in ranked["name"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.axvline(0, color=style.GREY, linewidth=1, zorder=1)
    value, low, high = (ranked[name].to_numpy(dtype=np.float64) for name in COLUMNS[1:])
    known = np.isfinite(low) & np.isfinite(high)
    rows = np.arange(len(ranked))
    axes.hlines(rows[known], low[known], high[known], color=style.BLUE, linewidth=2.2, alpha=0.6, zorder=2)
    axes.scatter(value, rows, s=48, color=style.BLUE, zorder=4)
    _write(axes, (value, low, high), digits)
    if "reference" in ranked.columns:
        _refer(axes, ranked["reference"].to_numpy(dtype=np.float64), reference)
    axes.margins(x=0.05)
    style.scientific(axes, "x")
    if len(ranked) == 0:
        style.say(axes, "an empty table")
    return figure


def _write(axes: Axes, columns: tuple[Any, Any, Any], digits: int) -> None:
    """The numbers to the right of the axes, in a column of their own, where nothing lies under them."""
    for row, (value, low, high) in enumerate(zip(*columns, strict=True)):
        words = f"{value:.{digits}f}" if np.isfinite(value) else "no value"
        words += f" [{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) and np.isfinite(high) else ""
        axes.annotate(
            words.replace("-", "−"),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center_baseline",
            fontsize=style.SMALL,
            color=style.INK,
            annotation_clip=False,
        )


def _refer(axes: Axes, numbers: Any, name: str) -> None:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"marker": "D", "linewidths": 1.5, "facecolors": "white", "edgecolors": style.ORANGE}
    axes.scatter(numbers, np.arange(len(numbers)), s=42, zorder=3, **look)
    mine = Line2D([], [], marker="o", color=style.BLUE, linewidth=2.2, markersize=7, label="measured")
    other = Line2D([], [], marker="D", linestyle="none", color=style.ORANGE, markerfacecolor="white", markersize=6.5)
    other.set_label(style.short(name, 40))
    figure = axes.figure.get_figure(root=True)
    figure.legend(handles=[mine, other], loc="outside lower center", ncols=2, fontsize=style.SMALL, frameon=False)

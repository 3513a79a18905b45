"""A table of correlations as coloured cells: a row a metric, a column a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whence.plots import labelled, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 3


def heat_table(
    table: pd.DataFrame | Mapping[str, pd.DataFrame],
    label: str = "correlation",
    limit: float | None = None,
    digits: int = 2,
) -> Figure:
    """Cells coloured by their number, which is written in them; blue above zero, red below, "–" for none.

    ``table``: one table, or two by title, side by side in the same colours, which end at ``limit`` (1 for
    correlations; without it the largest number). Raises ValueError for columns that are not numbers.
    """
    titled = {"": table} if isinstance(table, pd.DataFrame) else dict(table)
    labelled.panels(titled, MOST)
    values = [_numbers(part) for part in titled.values()]
    limit = limit or style.colour_limit(*values)
    names = [style.short(name, 32) for part in titled.values() for name in part.index]
    left = 0.09 * max((len(name) for name in names), default=0)
    cell = max(0.62, 0.11 * (digits + 4))
    shown = [left + max(cell * part.shape[1], 1.5) for part in titled.values()]
    tilted = _tilted(list(titled.values()), cell)
    rows = max((len(part) for part in titled.values()), default=0)
    figure = style.new_figure(sum(shown) + 1.4, max(0.4 * rows, 1.6) + (2.0 if tilted else 1.2))
    every = figure.subplots(1, len(titled), squeeze=False, width_ratios=shown)[0]
    drawn: Any = None
    for axes, (title, part), numbers, width in zip(every, titled.items(), values, shown, strict=True):
        drawn = _draw(axes, part, (numbers, limit, digits)) or drawn
        axes.tick_params(axis="x", labelrotation=45 if tilted else 0)
        for tick in axes.get_xticklabels():
            tick.set(ha="right" if tilted else "center", rotation_mode="anchor" if tilted else "default")
        style.title(axes, [title], width / sum(shown) * 0.85)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=every.tolist())
        bar.set_label(style.literal(label), fontsize=style.LABEL)
        bar.ax.tick_params(labelsize=style.SMALL)
        bar.outline.set_visible(False)
    return figure


def _numbers(table: pd.DataFrame) -> Any:
    wrong = [name for name, dtype in table.dtypes.items() if dtype.kind not in "iuf"]
    if wrong:
        raise ValueError(f"the columns {wrong[:5]} hold no numbers; set_index makes names of rows of them")
    return table.to_numpy(dtype=np.float64)


def _tilted(tables: list[pd.DataFrame], cell: float) -> bool:
    longest = max((len(style.short(name)) for table in tables for name in table.columns), default=0)
    return 0.09 * longest > cell


def _draw(axes: Axes, table: pd.DataFrame, how: tuple[Any, float, int]) -> Any:
    numbers, limit, digits = how
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=style.SMALL, colors=style.INK)
    if numbers.size == 0:
        axes.set_xticks([])
        axes.set_yticks([])
        style.say(axes, "an empty table")
        return None
    axes.set_xticks(range(table.shape[1]), [style.short(name) for name in table.columns])
    axes.set_yticks(range(len(table)), [style.short(name, 32) for name in table.index])
    axes.set_facecolor("#EEEEEE")
    drawn = axes.imshow(
        np.where(np.isfinite(numbers), numbers, np.nan), cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto"
    )
    colours = drawn.to_rgba(numbers)
    for row, column in np.ndindex(*numbers.shape):
        number = round(float(numbers[row, column]), digits) + 0.0
        words = f"{number:.{digits}f}".replace("-", "−") if np.isfinite(number) else "–"
        red, green, blue = colours[row, column, :3] if np.isfinite(number) else (1.0, 1.0, 1.0)
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": style.SMALL}
        axes.text(column, row, words, color="white" if dark else style.INK, **look)
    # White lines between the cells.
    axes.set_xticks(np.arange(table.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(table) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    return drawn

"""What a prediction loses as more and more of the training examples that a method names are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("ranking", "k", "effect")
PLAIN = {"random": style.GREY, "largest loss": style.INK}
"""Baselines, drawn dashed and without a colour of their own."""


def removal_curves(table: pd.DataFrame, label: str = "mean effect", title: str = "") -> Figure:
    """A line a ranking over the number of removed examples, with a band between ``effect_low`` and ``effect_high``.

    ``table``: as :func:`whence.evaluation.removal_curves` gives it. Raises ValueError if a column is missing or a
    ranking has several rows for one k.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"the table lacks the columns {missing}; it needs {list(COLUMNS)}")
    if table.duplicated(["ranking", "k"]).any():
        raise ValueError("a ranking has several rows for one k; choose one kind of truth first")
    figure = style.new_figure(8.0, 4.4)
    axes = figure.add_subplot()
    style.plain(axes, "training examples removed", style.literal(label))
    style.title(axes, [title], 0.65)
    for number, (ranking, mine) in enumerate(table.groupby("ranking", sort=False)):
        mine = mine.sort_values("k")
        x, y = (mine[name].to_numpy(dtype=np.float64) for name in ("k", "effect"))
        plain = PLAIN.get(str(ranking))
        colour = plain or style.PALETTE[number % len(style.PALETTE)]
        look: dict[str, Any] = {"marker": style.MARKERS[number % len(style.MARKERS)], "markersize": 6, "linewidth": 1.8}
        axes.plot(x, y, "--" if plain else "-", color=colour, label=style.short(ranking, 32), zorder=3, **look)
        if {"effect_low", "effect_high"} <= set(mine.columns):
            low, high = (mine[f"effect_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
    axes.set_xscale("log")
    sizes = sorted(set(table["k"].tolist()))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.axhline(0, color=style.GREY, linewidth=1, zorder=1)
    style.scientific(axes, "y")
    if len(table):
        figure.legend(loc="outside right upper", fontsize=style.SMALL, frameon=False)
    else:
        style.say(axes, "no removals")
    return figure

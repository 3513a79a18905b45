"""A quantity over the steps of training, as in Figures 5.18 and 5.20 of Brinkman and Larsson Hörkén (Chalmers 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = ("-", "--", "-.", ":")
FEW = 30
MANY = 2000


def training_curves(
    curves: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    log: bool = True,
    axis_labels: tuple[str, str] = ("step", "loss"),
    title: str = "",
) -> Figure:
    """A line a run: name to (steps [k], values [k]); ``log`` draws the values on a logarithmic axis.

    Runs differ by colour and dashes. Values that are not finite, and on a logarithmic axis those that are not above 0,
    leave gaps, and the picture says how many.
    Raises ValueError if steps and values of a run differ in length or are not one-dimensional.
    """
    figure = style.new_figure(7.0, 4.4)
    axes = figure.add_subplot()
    style.plain(axes, *axis_labels)
    gaps = 0
    drawn = False
    for number, (name, (steps, values)) in enumerate(curves.items()):
        x, y = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"steps and values of {name!r} must be two arrays of one length, not {x.shape}, {y.shape}")
        shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not log))
        gaps, drawn = gaps + int((~shown).sum()), drawn or bool(shown.any())
        look: dict[str, Any] = {
            "color": style.PALETTE[number % len(style.PALETTE)],
            "linestyle": DASHES[number % len(DASHES)] if len(x) <= MANY else "-",
            "linewidth": 1.8 if len(x) <= MANY else 0.8,
        }
        if len(x) <= FEW:
            look |= {"marker": style.MARKERS[number % len(style.MARKERS)], "markersize": 5}
        axes.plot(x, np.where(shown, y, np.nan), label=style.short(name, 40), **look)
    if log and drawn:
        axes.set_yscale("log")
    else:
        style.scientific(axes, "y")
    if not drawn:
        style.say(axes, "no finite values" if curves else "no curves")
    reason = "not finite or not above 0" if log else "not finite"
    style.title(axes, [title, f"{gaps} values {reason}, not drawn" if gaps else ""])
    if curves:
        # Losses fall; to look for the best place would take long among many values.
        few = max(len(steps) for steps, _ in curves.values()) <= MANY
        legend = axes.legend(
            loc="best" if few else "upper right", fontsize=style.SMALL, framealpha=0.9, edgecolor="none"
        )
        for line in legend.get_lines():
            line.set_linewidth(1.8)
    return figure

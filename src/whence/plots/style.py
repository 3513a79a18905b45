"""What all figures share: palette, marks, plain axes, words for a query and numbers. No global state is touched."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): told apart with any common colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#8A8A8A", "#222222"
TITLE, LABEL, SMALL = 12, 11, 10
PAD = 0.09


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches that keeps its labels from overlapping."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD)
    return Figure(figsize=(width, height), layout=engine, facecolor="white")


def plain(axes: Axes, x: str = "", y: str = "") -> None:
    """Axis labels, readable ticks and no frame on the upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=SMALL, colors=INK)
    axes.set_xlabel(x, fontsize=LABEL, color=INK)
    axes.set_ylabel(y, fontsize=LABEL, color=INK)
    axes.set_axisbelow(True)


def title(axes: Axes, lines: list[str]) -> None:
    """A title whose lines are folded to the width of the figure."""
    # A letter is about 0.6 of the type size wide, a point 1/72 inch.
    letters = int(axes.figure.get_figure(root=True).get_figwidth() * 72 / (0.6 * TITLE))
    folded = [textwrap.fill(line, letters) for line in lines]
    axes.set_title("\n".join(folded), fontsize=TITLE, color=INK)


def scientific(axes: Axes, which: str) -> None:
    """Write the powers of ten of an axis ("x", "y") once, at its end, where numbers are very small or large."""
    from matplotlib.ticker import ScalarFormatter

    for name in which:
        formatter = ScalarFormatter(useMathText=True)
        formatter.set_powerlimits((-2, 3))
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_formatter(formatter)
        axis.get_offset_text().set_fontsize(SMALL)


def say(axes: Axes, text: str) -> None:
    """A message in the middle of axes that have nothing to show."""
    ground = {"facecolor": "white", "edgecolor": "none"}
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=LABEL, color=INK, bbox=ground
    )


def quantity(attrs: dict[Any, Any]) -> str:
    """Quantity with unit, for an axis label."""
    unit = attrs["unit"]
    return f"{attrs['quantity']} ({unit})" if unit else str(attrs["quantity"])


def row_of(scores: xr.DataArray, query: Any) -> xr.DataArray:
    """The scores [train] of one query; raises ResultError if its id is not there."""
    results.check(scores)
    known = scores["query"].values.tolist()
    if query not in known:
        raise results.ResultError(f"no query has the id {query!r}; the scores hold {known[:5]} and so on")
    return scores.isel(query=known.index(query))


def query_words(row: xr.DataArray) -> str:
    """What is known of the query: "query 17, labelled 5, predicted 6"."""
    words = [f"query {row['query'].item()}"]
    for name, verb in (("query_label", "labelled"), ("query_prediction", "predicted")):
        if name in row.coords:
            words.append(f"{verb} {row[name].item()}")
    return ", ".join(words)


def symmetric_limit(*values: npt.NDArray[Any]) -> float:
    """A limit that all finite values lie inside, with a margin; 1 if there is none."""
    everything = np.concatenate([np.abs(np.asarray(part, dtype=np.float64)).ravel() for part in values])
    finite = everything[np.isfinite(everything)]
    largest = float(finite.max()) if len(finite) else 0.0
    return 1.08 * largest if largest > 0 else 1.0

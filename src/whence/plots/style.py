"""What all figures share: palette, marks, plain axes, words for a query and numbers. No global state is touched."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import results, tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008): told apart with any common colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
# Petroff, "Accessible Color Sequences for Data Visualization" (2021): ten, told apart with any common colour blindness.
CLASS_COLOURS = (
    *("#3F90DA", "#FFA90E", "#BD1F01", "#94A4A2", "#832DB6"),
    *("#A96B59", "#E76300", "#B9AC70", "#717581", "#92DADD"),
)
CLASS_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*", "<", "p")
# Blue above zero, red below, told apart with any common colour blindness.
DIVERGING = "RdBu"
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#8A8A8A", "#222222"
TITLE, LABEL, SMALL = 12, 11, 10
PAD = 0.09
FAINT = "#DDDDDD"


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


def title(axes: Axes, lines: list[str], share: float = 1.0) -> None:
    """A title whose lines are folded to ``share`` of the width of the figure: the part that the axes take."""
    figure = axes.figure.get_figure(root=True)
    axes.set_title(folded(lines, share * figure.get_figwidth()), fontsize=TITLE, color=INK)


def folded(lines: list[str], width: float, size: int = TITLE) -> str:
    """Lines folded to a width in inches; empty lines are left out and a dollar sign starts no formula."""
    # A letter is about 0.6 of the type size wide, a point 1/72 inch.
    letters = max(int(width * 72 / (0.6 * size)), 8)
    return literal("\n".join(textwrap.fill(line, letters) for line in lines if line))


def literal(text: str) -> str:
    """Words that matplotlib draws as they stand: it would take what lies between two dollar signs for a formula."""
    return re.sub(r"(?<!\\)\$", r"\\$", text)


def short(text: Any, longest: int = 16) -> str:
    """A name, with its middle left out if it is longer than ``longest`` letters, drawn as it stands."""
    text = tables.printable(str(text))
    return literal(text if len(text) <= longest else text[: longest // 2 - 1] + "…" + text[-(longest // 2) :])


def class_marks(*labels: npt.NDArray[Any]) -> dict[Any, tuple[str, str]]:
    """Colour and marker of each class in these arrays, in the order of their names; none repeats before the hundredth.

    Figures of the same classes give a class the same colour and marker.
    """
    names = {name for part in labels for name in np.asarray(part).ravel().tolist()}
    try:
        ordered = sorted(names)
    except TypeError:
        ordered = sorted(names, key=str)
    size = len(CLASS_COLOURS)
    return {
        name: (CLASS_COLOURS[number % size], CLASS_MARKERS[(number + number // size) % size])
        for number, name in enumerate(ordered)
    }


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
    """Quantity with unit, for an axis label; raises ResultError where it is not stated."""
    if "quantity" not in attrs:
        raise results.ResultError("attrs must state the quantity and its unit; give array.assign_attrs(quantity=...)")
    unit = attrs.get("unit")
    stated = unit not in (None, "", "none")
    return literal(f"{attrs['quantity']} ({unit})" if stated else str(attrs["quantity"]))


def row_of(scores: xr.DataArray, query: Any) -> xr.DataArray:
    """The scores [train] of one query; raises ResultError if its id is not there."""
    results.check(scores)
    known = scores["query"].values.tolist()
    if query not in known:
        raise results.ResultError(f"no query has the id {query!r}; the scores hold {known[:5]} and so on")
    return scores.isel(query=known.index(query))


def query_words(row: xr.DataArray) -> str:
    """What is known of the query: "Query 17, labelled 5, predicted 6"."""
    words = [f"Query {row['query'].item()}"]
    for name, verb in (("query_label", "labelled"), ("query_prediction", "predicted")):
        if name in row.coords:
            words.append(f"{verb} {row[name].item()}")
    return ", ".join(words)


def symmetric_limit(*values: npt.NDArray[Any]) -> float:
    """A limit that all finite values lie inside, with a margin; 1 if there is none."""
    largest = _largest(*values)
    return 1.08 * largest if largest > 0 else 1.0


def colour_limit(*values: npt.NDArray[Any]) -> float:
    """The size of the largest finite value, where a scale of colours centred at 0 ends; 1 if there is none above 0."""
    return _largest(*values) or 1.0


def _largest(*values: npt.NDArray[Any]) -> float:
    everything = np.concatenate([np.abs(np.asarray(part, dtype=np.float64)).ravel() for part in values])
    finite = everything[np.isfinite(everything)]
    return float(finite.max()) if len(finite) else 0.0

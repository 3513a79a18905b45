"""Influence on one query by the class of the training examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence import results
from whence.plots import parts, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def influence_by_class(scores: xr.DataArray, query: Any) -> Figure:
    """Box plots of one query's scores by ``train_label``: quartiles, whiskers to 1.5 of their range, the rest dots.

    The query's own class and, where it differs, the predicted class are coloured. Under each class stands the number
    of its examples. Values that are not finite are left out, and the picture says how many.
    Raises ResultError if the query is absent or the training examples carry no labels.
    """
    row = style.row_of(scores, query)
    if "train_label" not in row.coords:
        raise results.ResultError("the scores have no coordinate 'train_label'; give Labels(label=...) for train")
    values, label = np.asarray(row.values, dtype=np.float64), row["train_label"].values
    finite = np.isfinite(values)
    classes = np.unique(label)
    width = float(np.clip(2.2 + 0.75 * len(classes), 6.0, 18.0))
    figure = style.new_figure(width, 4.8)
    axes = figure.add_subplot()
    style.plain(axes, "class of the training example", style.quantity(row.attrs))
    if _near_zero(values[finite]):
        axes.axhline(0, color=style.GREY, linewidth=1, zorder=1)
    groups = [values[finite & (label == name)] for name in classes]
    coloured = _colours(row)
    parts.boxes(axes, groups, [coloured.get(name, (parts.PALE, ""))[0] for name in classes.tolist()])
    axes.set_xticks(
        range(len(classes)),
        [f"{style.short(name, 24)}\nn = {len(group)}" for name, group in zip(classes, groups, strict=True)],
    )
    if len(classes) > 15 or max((len(str(name)) for name in classes.tolist()), default=0) > 10:
        axes.tick_params(axis="x", labelrotation=60)
    style.scientific(axes, "y")
    _words(axes, row, list(coloured.values()), int((~finite).sum()))
    if not finite.any():
        style.say(axes, "no training example has a finite score")
    return figure


def _near_zero(values: npt.NDArray[np.float64]) -> bool:
    """Whether a line at zero leaves the values two thirds of the picture; among similarities it may not."""
    if len(values) == 0:
        return True
    margin = float(np.ptp(values)) / 2
    return bool(values.min() - margin <= 0 <= values.max() + margin)


def _colours(row: xr.DataArray) -> dict[Any, tuple[str, str]]:
    """Colour and meaning of the classes of the query that occur among the training examples."""
    named = ("query_label", "query_prediction")
    label, prediction = (row[name].item() if name in row.coords else None for name in named)
    words = "the query's label and prediction" if label == prediction else "the query's label"
    meant = {label: (style.BLUE, words)}
    meant.setdefault(prediction, (style.ORANGE, "the model's prediction"))
    known = set(row["train_label"].values.tolist())
    return {name: meaning for name, meaning in meant.items() if name in known}


def _words(axes: Axes, row: xr.DataArray, coloured: list[tuple[str, str]], left_out: int) -> None:
    from matplotlib.patches import Patch

    lines = [style.query_words(row), f"{row.attrs['method']} by class of the training example"]
    if left_out:
        lines.append(f"{left_out} examples without a finite score left out")
    style.title(axes, lines)
    entries = [Patch(facecolor=colour, edgecolor=style.INK, label=words) for colour, words in coloured]
    if entries:
        axes.legend(handles=entries, fontsize=style.SMALL, frameon=True, framealpha=0.9, edgecolor="none", loc="best")

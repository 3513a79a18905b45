"""Predicted against actual effects of removals, as in Fig. 2 of Koh and Liang (ICML 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence import results
from whence.comparison import Aligned, aligned
from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]


def predicted_against_actual(
    scores: xr.DataArray, truth: xr.Dataset, query: Any, table: pd.DataFrame | None = None
) -> Figure:
    """A point a removal: actual effect (mean over seeds) across, predicted effect (sum of its members' scores) up.

    The samples of ``truth["chosen"]`` differ by marker and colour; hollow points mark refits that did not converge.
    ``table``: what ``whence.evaluation.agreement`` returned for these results; its n, Pearson correlation and
    interval are then written above the picture.

    Raises ResultError if the query or a training id is absent, if the quantities differ (no identity line exists
    then), or if the table has no row for this picture.
    """
    row = style.row_of(scores, query)
    results.check_truth(truth)
    if not results.same_quantity(scores.attrs, truth.attrs):
        raise results.ResultError(
            "the scores and the truth state different quantities, so they share no identity line; "
            "compare them with agreement(..., rank_only=True)"
        )
    together = _laid(scores, truth, query)
    predicted, actual = together.predicted[0], together.actual[0].mean(axis=1)
    samples = {name: chosen[0] for name, chosen in together.samples.items()}
    solid = np.ones(len(actual), dtype=bool) if together.converged is None else together.converged
    figure = style.new_figure(5.6, 6.0)
    axes = figure.add_subplot()
    shown = np.any(list(samples.values()), axis=0)
    _frame(axes, style.symmetric_limit(predicted[shown], actual[shown]))
    for number, (name, chosen) in enumerate(samples.items()):
        _scatter(axes, number, name, (actual[chosen], predicted[chosen]), solid[chosen])
    hidden = int((~np.isfinite(predicted + actual))[shown].sum())
    if shown.sum() == hidden:
        style.say(axes, "no removal has a finite effect")
    notes = [f"{hidden} without a finite value, not drawn"] if hidden else []
    notes += [f"hollow: refit not converged ({(~solid)[shown].sum()})"] if (~solid)[shown].any() else []
    style.title(axes, _title(row, truth, table))
    axes.set_xlabel("\n".join([f"actual {style.quantity(truth.attrs)}", *notes]), fontsize=style.LABEL)
    axes.set_ylabel(f"predicted {style.quantity(scores.attrs)}", fontsize=style.LABEL)
    if "chosen" in truth:
        axes.legend(loc="upper left", fontsize=style.SMALL, frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def _frame(axes: Axes, limit: float) -> None:
    style.plain(axes)
    style.scientific(axes, "xy")
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    axes.axhline(0, color="#DDDDDD", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#DDDDDD", linewidth=0.8, zorder=0)
    axes.plot([-limit, limit], [-limit, limit], color=style.GREY, linewidth=1, linestyle="--", zorder=1)


def _scatter(axes: Axes, number: int, name: str, points: tuple[Array, Array], solid: Array) -> None:
    colour = style.PALETTE[number % len(style.PALETTE)]
    marks: dict[str, Any] = {"marker": style.MARKERS[number % len(style.MARKERS)], "s": 34, "edgecolors": colour}
    x, y = points
    # The first sample, the one that matters, on top of those after it; the few hollow marks on top of all.
    axes.scatter(
        x[solid], y[solid], facecolors=colour, alpha=0.8, zorder=9 - number, label=style.literal(name), **marks
    )
    if not solid.all():
        axes.scatter(x[~solid], y[~solid], facecolors="white", linewidths=1.3, zorder=10, **marks)


def _title(row: xr.DataArray, truth: xr.Dataset, table: pd.DataFrame | None) -> list[str]:
    kind = str(truth.attrs["kind"]).replace("_", " ")
    lines = [style.query_words(row), f"{row.attrs['method']}, {kind} refits"]
    if table is None:
        return lines
    mine = table[
        (table["query"] == row["query"].item())
        & (table["method"] == row.attrs["method"])
        & (table["kind"] == truth.attrs["kind"])
    ]
    if mine.empty:
        raise results.ResultError(f"the table has no row for this picture ({lines[0]}); pass agreement(scores, truth)")
    for line in mine.itertuples():
        text = f"n = {line.n}, r = {line.pearson:.4f} [{line.pearson_low:.4f}, {line.pearson_high:.4f}]"
        text = f"n = {line.n}, r undefined" if np.isnan(float(line.pearson)) else text
        lines.append(text if line.sample == "all" else f"{line.sample}: {text}")
    return lines


def _laid(scores: xr.DataArray, truth: xr.Dataset, query: Any) -> Aligned:
    """Scores on truth, for one query."""
    if query not in truth["query"].values.tolist():
        raise results.ResultError(f"the truth does not hold the query {query!r}; measure its refits first")
    return aligned(scores, truth.sel(query=[query]))

"""The training examples that helped and harmed one query most, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from whence.plots import parts, style
from whence.plots.parts import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


def gallery(
    scores: xr.DataArray, query: Any, picture: Picture, k: int = 5, query_picture: Picture | None = None
) -> Figure:
    """The query on the left; beside it its ``k`` most helpful and ``k`` most harmful training examples.

    ``picture`` draws a training example by its id, ``query_picture`` the query (without it only words stand there).
    Over each example: its score; below: label and id. A side holds only examples with a score of that sign, and says
    so when there are fewer than ``k``. Raises ResultError if the query is absent, ValueError for ``k`` < 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    row = style.row_of(scores, query)
    figure = style.new_figure(3.0 + 1.55 * max(k, 3), 5.6)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.5, 1.55 * max(k, 3)])[0]
    parts.query(left, row, query_picture)
    values = np.asarray(row.values, dtype=np.float64)
    strength = np.where(np.isfinite(values), values, 0.0)
    upper, lower = right.subfigures(2, 1, squeeze=False)[:, 0]
    for part, sign, name, colour in ((upper, 1, "helpful", style.BLUE), (lower, -1, "harmful", style.ORANGE)):
        order = np.argsort(-sign * strength, kind="stable")[:k]
        order = order[sign * strength[order] > 0]
        heading = f"most {name}" if len(order) == k else f"most {name}: only {len(order)} with such a score"
        heading = heading if len(order) else f"no {name} example"
        part.suptitle(heading, x=0.03, ha="left", fontsize=style.TITLE, color=colour)
        _draw_side(part, row.isel(train=order), k, picture)
    missing = int((~np.isfinite(values)).sum())
    foot = f"{row.attrs['method']}: {style.quantity(row.attrs)}"
    foot += f"; {missing} examples without a finite score left out" if missing else ""
    figure.supxlabel(foot, fontsize=style.SMALL, color=style.INK)
    return figure


def _draw_side(part: SubFigure, chosen: xr.DataArray, k: int, picture: Picture) -> None:
    for number, axes in enumerate(part.subplots(1, max(k, 3), squeeze=False)[0]):
        parts.bare(axes)
        if number >= chosen.sizes["train"]:
            axes.set_visible(False)
            continue
        example = chosen.isel(train=number)
        identity = example["train"].item()
        parts.show(axes, picture(identity))
        # A long unit would run into the neighbour; the foot of the figure states it in any case.
        unit = f" {example.attrs['unit']}" if len(example.attrs["unit"]) <= 5 else ""
        axes.set_title(f"{example.item():+.2e}{unit}", fontsize=style.SMALL, color=style.INK)
        words = [f"label {example['train_label'].item()}"] if "train_label" in example.coords else []
        axes.set_xlabel("\n".join(style.short(word) for word in [*words, f"id {identity}"]), fontsize=style.SMALL)

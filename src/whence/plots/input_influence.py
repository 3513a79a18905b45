"""Which pixels of training images matter for one prediction (Koh and Liang, ICML 2017, section 2.2 and Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import parts, style
from whence.plots.parts import Picture
from whence.results import ResultError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8
CELL = 1.9


def input_influence(pixels: xr.DataArray, query: Any, picture: Picture, query_picture: Picture | None = None) -> Figure:
    """Training images in a row, and under each what raising each of its pixels does to the query.

    ``pixels``: what ``whence.input_influence`` gives for images: [query, train, height, width], or with 1 or 3 channels
    before them, whose influences are added. ``picture`` draws a training example by its id, ``query_picture`` the query
    (without it only words stand there). Blue pixels raise the query's measurement if they are raised, red ones lower
    it; all maps share one scale. Raises ResultError for other dimensions or an absent query, ValueError for more than
    eight training examples.
    """
    maps = _maps(pixels)
    known = pixels["query"].values.tolist()
    if query not in known:
        raise ResultError(f"no query has the id {query!r}; the influences hold {known[:5]} and so on")
    count = pixels.sizes["train"]
    if not 1 <= count <= MOST:
        raise ValueError(
            f"this figure has 1 to {MOST} training examples, not {count}; select some with .sel(train=ids)"
        )
    row, shown = pixels.isel(query=known.index(query)), maps[known.index(query)]
    figure = style.new_figure(2.6 + CELL * max(count, 2), 2 * CELL + 1.4)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.6, CELL * max(count, 2)])[0]
    parts.query(left, row, query_picture)
    every = right.subplots(2, count, squeeze=False)
    limit = style.colour_limit(shown)
    for number in range(count):
        example = row.isel(train=number)
        identity = example["train"].item()
        parts.show(every[0, number], picture(identity))
        words = [f"label {example['train_label'].item()}"] if "train_label" in example.coords else []
        named = "\n".join(style.short(word) for word in [f"id {identity}", *words])
        every[0, number].set_title(named, fontsize=style.SMALL, color=style.INK)
        parts.bare(every[1, number])
        drawn = every[1, number].imshow(
            shown[number], cmap=style.DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest"
        )
        every[1, number].set_facecolor(style.FAINT)
        every[1, number].spines[:].set_visible(True)
    bar = right.colorbar(drawn, ax=every[1].tolist(), orientation="horizontal", shrink=0.7, aspect=40)
    bar.ax.tick_params(labelsize=style.SMALL)
    bar.outline.set_visible(False)
    style.scientific(bar.ax, "x")
    foot = style.folded([f"{row.attrs['method']}: {style.quantity(row.attrs)}"], figure.get_figwidth(), style.SMALL)
    figure.supxlabel(foot, fontsize=style.SMALL, color=style.INK)
    return figure


def _maps(pixels: xr.DataArray) -> npt.NDArray[np.float64]:
    """[query, train, height, width]; channels are added."""
    dims = tuple(str(dim) for dim in pixels.dims)
    if dims[:2] != ("query", "train") or len(dims) not in (4, 5) or (len(dims) == 5 and pixels.shape[2] not in (1, 3)):
        raise ResultError(
            f"this figure needs influences [query, train, height, width], or with 1 or 3 channels before the height, "
            f"not {dict(zip(dims, pixels.shape, strict=True))}; only images can be drawn"
        )
    values = np.asarray(pixels.values, dtype=np.float64)
    return values.sum(axis=2) if values.ndim == 5 else values

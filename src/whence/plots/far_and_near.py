"""Influence of the examples far from the centroid of their class against that of the rest.

As in Figure 5.16 of Brinkman and Larsson Hörkén (MSc thesis, Chalmers 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.plots import labelled, parts, style
from whence.results import ResultError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 3
# From this ratio of the 95th to the 5th percentile a linear axis would show hardly more than the largest values.
WIDE = 30.0


@dataclass(frozen=True)
class FarAndNear:
    """``values`` [train], and which of them are ``far`` from their centroid: bool [train], by id if it is labelled."""

    values: xr.DataArray
    far: xr.DataArray | npt.NDArray[np.bool_]
    title: str


def outlier_boxes(
    panels: Sequence[FarAndNear], names: tuple[str, str] = ("farthest 10 %\nfrom their centroid", "the rest")
) -> Figure:
    """Box plots of the size of ``values`` of the far examples and of the rest, its median written below.

    Under each box also stands the number of its examples. The axis is logarithmic where values differ by orders of
    magnitude. Values that are not finite are left out, and the picture says how many.
    Raises ResultError for other dimensions, ids in only one array, flags that are not bool or no quantity.
    """
    listed = labelled.panels(panels, MOST)
    figure = style.new_figure(4.4 * len(listed) + 0.4, 4.9)
    every = figure.subplots(1, len(listed), squeeze=False)[0]
    for axes, panel in zip(every, listed, strict=True):
        size, far = _laid(panel)
        _draw(axes, [size[far], size[~far]], names)
        axes.set_ylabel(f"size of the {style.quantity(panel.values.attrs)}", fontsize=style.LABEL, color=style.INK)
        finite = np.isfinite(size)
        left_out = f"{(~finite).sum()} without a finite value left out" if not finite.all() else ""
        zero = int((size == 0).sum()) if axes.get_yscale() == "log" else 0
        nothing = f"{zero} of size 0 lie below the axis" if zero else ""
        style.title(axes, [panel.title, left_out, nothing], 0.85 / len(listed))
    return figure


def _laid(panel: FarAndNear) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    values = labelled.check(panel.values, ("train",))
    far = panel.far
    if isinstance(far, xr.DataArray):
        far = labelled.on_ids_of(values, labelled.check(far, ("train",))).values
    if far.dtype != np.bool_ or far.shape != values.shape:
        raise ResultError(f"far must be bool, one a value {values.shape}, not {far.dtype} {far.shape}")
    return np.abs(labelled.floats(values)), far


def _draw(axes: Axes, groups: list[npt.NDArray[Any]], names: tuple[str, str]) -> None:
    style.plain(axes)
    groups = [group[np.isfinite(group)] for group in groups]
    together = np.concatenate(groups)
    positive = together[together > 0]
    if len(positive) and np.percentile(positive, 95) > WIDE * np.percentile(positive, 5):
        axes.set_yscale("log")
    else:
        style.scientific(axes, "y")
    parts.boxes(axes, groups, [style.ORANGE, parts.PALE])
    axes.set_xticks(range(2), [_under(name, group) for name, group in zip(names, groups, strict=True)])
    if len(together) == 0:
        style.say(axes, "no example with a finite value")
    elif axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0.0)


def _under(name: str, group: npt.NDArray[Any]) -> str:
    words = f"{style.literal(name)}\nn = {len(group)}"
    return f"{words}\nmedian {np.median(group):.2g}" if len(group) else words

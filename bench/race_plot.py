"""The frontier: seconds from nothing to the answer against fidelity to the exact answer, every row labelled.

Fidelity is drawn on a logit axis, so that 0.2 and 0.9999 both have room. Labels are put at the nearest free place.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.race_rows import OURS, PEERS, Record, best_fidelity
from whence.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

LEAST, MOST = 0.02, 1 - 1e-7
TICKS = (0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
RINGS, DIRECTIONS = 14, 24
LETTERS = 175
FIDELITY = "Pearson correlation with the exact answer, median over queries (logit scale)"
INK = {OURS: style.BLUE, **dict(zip([p for p in PEERS if p != OURS], style.PALETTE[1:6], strict=True))}
MARK = dict(zip(PEERS, ("s", "D", "v", "P", "^", "o"), strict=True))


def frontier(records: Sequence[Record], count: int, title: str) -> Figure:
    """One mark a row that counts; hollow: it answered fewer than ``count`` queries, and its time is of those.

    Rows that do not count are named below the axes with their reason.
    """
    figure = style.new_figure(11.0, 8.5)
    axes = figure.add_subplot()
    drawn = [(one, *_place(one)) for one in records if one["counts"] and one["fidelity"]]
    for peer in PEERS:
        chosen = [(one, x, y) for one, x, y in drawn if one["peer"] == peer]
        look: dict[str, Any] = {"marker": MARK[peer], "s": 60, "edgecolors": INK[peer], "linewidths": 1.3, "zorder": 3}
        for whole in (True, False):
            part = [(x, y) for one, x, y in chosen if (f"q={count}" in one["seconds"]) == whole]
            if part:
                label = peer if whole or not any(f"q={count}" in one["seconds"] for one, _, _ in chosen) else None
                x, y = np.array(part).T
                axes.scatter(x, y, facecolors=INK[peer] if whole else "white", label=label, **look)
    style.plain(axes, f"seconds for fit and {count} queries (hollow: for the queries it answered)", FIDELITY)
    axes.set_xscale("log")
    axes.set_yscale("logit", use_overline=False)
    if drawn:
        axes.set_xlim(min(x for _, x, _ in drawn) / 1.6, max(x for _, x, _ in drawn) * 2.2)
        axes.set_ylim(min(y for _, _, y in drawn) / 1.5, 1 - (1 - max(y for _, _, y in drawn)) / 4)
        _steps(axes, [(x, y) for one, x, y in drawn if one["peer"] == OURS], INK[OURS])
        _steps(axes, [(x, y) for one, x, y in drawn if one["peer"] != OURS], style.GREY)
        low, high = axes.get_ylim()
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes.set_yticks([], minor=True)
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.legend(loc="upper left", fontsize=style.SMALL, framealpha=0.9, edgecolor="none")
    axes.grid(True, which="major", color=style.FAINT, linewidth=0.6)
    style.title(axes, [title])
    _below(axes, records, drawn)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _label(axes, drawn)
    return figure


def _place(one: Record) -> tuple[float, float]:
    """Seconds and fidelity of the largest number of queries that was answered."""
    fidelity = best_fidelity(one)
    assert fidelity is not None
    last = list(one["seconds"])[-1]
    seconds = one["seconds"]["fit"] + (one["seconds"][last] if last != "fit" else 0.0)
    return seconds, float(np.clip(fidelity["pearson_median"], LEAST, MOST))


def _steps(axes: Axes, points: list[tuple[float, float]], ink: str) -> None:
    """The best fidelity up to each number of seconds."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not best or y > best[-1][1]:
            best.append((x, y))
    if best:
        xs, ys = zip(*best, strict=True)
        right = axes.get_xlim()[1]
        axes.step([*xs, right], [*ys, ys[-1]], where="post", color=ink, linewidth=1.0, alpha=0.6, zorder=1)


def _below(axes: Axes, records: Sequence[Record], drawn: Sequence[tuple[Record, float, float]]) -> None:
    shown = {one["row"] for one, _, _ in drawn}
    missing = [f"{one['row']}: {one['status'][:70]}" for one in records if one["row"] not in shown]
    if missing:
        lines = textwrap.wrap("Not drawn: " + ";  ".join(missing), LETTERS)
        axes.annotate(
            style.literal("\n".join(lines)),
            (0, 0),
            (0, -42),
            "axes fraction",
            "offset points",
            va="top",
            fontsize=7,
            color=style.INK,
        )


def _label(axes: Axes, drawn: Sequence[tuple[Record, float, float]]) -> None:
    """Each name at the nearest place where it covers no mark and no other name, joined to its mark if that is far."""
    canvas_box = axes.get_window_extent()
    marks = [axes.transData.transform((x, y)) for _, x, y in drawn]
    taken: list[Bbox] = []
    for (one, x, y), mark in sorted(zip(drawn, marks, strict=True), key=lambda pair: -pair[1][1]):
        text = axes.annotate(
            one["row"].replace("_", " ", 1).replace("_", " "),
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=INK[one["peer"]],
            zorder=4,
        )
        best: tuple[float, tuple[float, float], Bbox] | None = None
        size = text.get_window_extent()
        for far, offset in _offsets(size.width, size.height):
            box = size.translated(
                mark[0] + offset[0] - size.x0 - size.width / 2, mark[1] + offset[1] - size.y0 - size.height / 2
            )
            inside = (
                canvas_box.x0 <= box.x0
                and box.x1 <= canvas_box.x1
                and box.y0 >= canvas_box.y0
                and box.y1 <= canvas_box.y1
            )
            free = not any(box.overlaps(other) for other in taken)
            bare = not any(box.padded(3).contains(*other) for other in marks)
            if inside and free and bare:
                best = far, offset, box
                break
        if best is None:
            continue
        far, offset, box = best
        taken.append(box.padded(1))
        scale = 72 / axes.figure.get_figure(root=True).dpi
        text.set_position((offset[0] * scale, offset[1] * scale))
        text.set_ha("center")
        text.set_va("center")
        if far > 1:
            axes.annotate(
                "",
                (x, y),
                xytext=(offset[0] * scale, offset[1] * scale),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": INK[one["peer"]], "linewidth": 0.5, "alpha": 0.5},
                zorder=2,
            )


def _offsets(width: float, height: float) -> Iterator[tuple[int, tuple[float, float]]]:
    """Centres of a label of this size around a mark, the nearest ring first, to the right before elsewhere."""
    for ring in range(1, RINGS + 1):
        for number in range(DIRECTIONS):
            turn = (number + 1) // 2 * (1 if number % 2 else -1) * 2 * np.pi / DIRECTIONS
            reach = 7 + 9 * (ring - 1)
            yield ring, ((width / 2 + reach) * np.cos(turn), (height / 2 + reach) * np.sin(turn))

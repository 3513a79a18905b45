"""A race's records as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.race_rows import Record, best_fidelity


def table(records: Sequence[Record], counts: Sequence[int]) -> str:
    """One line a row, the fastest to the most queries first; rows that do not count follow with their reason."""
    head = ["row", "fit s", *(f"q={count} s" for count in counts), "CPU s", "peak MB"]
    head += ["Pearson (least)", "Spearman (least)", "slope", "status"]
    lines = [_line(head), _line(["---"] * len(head))]
    ranked = sorted(records, key=lambda one: (not one["counts"], sum(one["seconds"].values())))
    return "\n".join([*lines, *(_line(_cells(one, counts)) for one in ranked)])


def verdict_table(found: Sequence[Record]) -> str:
    """Each peer's row beside the row of ours that is at least as faithful."""
    lines = [
        _line(["peer's row", "Pearson", "queries", "s", "ours", "times as fast", "memory", "met"]),
        _line(["---"] * 8),
    ]
    for one in found:
        cells = [one["row"], _number(one.get("pearson_median"), 4), str(one["queries"]), _number(one["seconds"], 1)]
        cells += [one["ours"] or "none as faithful", _number(one.get("times as fast"), 2)]
        cells += [_number(one.get("times its memory"), 2), "yes" if one["met"] else "no"]
        lines.append(_line(cells))
    return "\n".join(lines)


def setups(records: Sequence[Record]) -> str:
    """How each row was set up."""
    return "\n".join(f"- `{one['row']}`: {one['setup']}; penalty in the curvature: {one['penalty']}" for one in records)


def _cells(one: Record, counts: Sequence[int]) -> list[str]:
    seconds, fidelity = one["seconds"], best_fidelity(one)
    cells = [one["row"], _number(seconds.get("fit"), 1)]
    cells += [_number(seconds.get(f"q={count}"), 2) for count in counts]
    cells += [_number(sum(one["processor seconds"].values()), 1), _number(one["peak MB"], 0)]
    if fidelity is None:
        cells += ["–", "–", "–"]
    else:
        pairs = [(fidelity[f"{name}_median"], fidelity[f"{name}_min"]) for name in ("pearson", "spearman")]
        cells += [f"{middle:.4f} ({least:.3f})" for middle, least in pairs] + [f"{fidelity['slope']:.3g}"]
    return [*cells, one["status"].replace("|", "/")[:140]]


def _number(value: Any, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""Linear datamodeling scores and the verdicts on them as tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.race_rows import Record


def lds_table(rows: Sequence[Record]) -> str:
    """One line a row, the best first."""
    head = ["row", "LDS", "95 % interval", "subsets", "queries", "retest", "attainable"]
    lines = [_line(head), _line(["---"] * len(head))]
    for one in sorted(rows, key=lambda one: -1.0 if one["lds"] is None else one["lds"], reverse=True):
        cells = [one["row"], _number(one["lds"]), _interval(one["lds_low"], one["lds_high"]), str(one["n"])]
        cells += [f"{one['queries']}" + (f" ({one['undefined']} without)" if one["undefined"] else "")]
        lines.append(_line([*cells, _number(one["retest"]), _number(one["attainable"])]))
    return "\n".join(lines)


def verdict_table(found: Sequence[Record]) -> str:
    """Each method's best row of ours beside the best of the peers."""
    head = ["method", "ours", "LDS", "best peer", "LDS", "queries", "difference", "95 % interval", "bar holds"]
    lines = [_line(head), _line(["---"] * len(head))]
    for one in found:
        if one["ours"] is None:
            cells = [one["family"], *["–"] * 7, f"{one['held']}: {one['why']}"]
        else:
            cells = [one["family"], one["ours"], _number(one["lds of ours"])]
            cells += [one["peer"], _number(one["lds of the peer"]), str(one["queries"])]
            cells += [_number(one["difference"], "+.4f")]
            cells += [_interval(one["difference_low"], one["difference_high"], "+.4f"), one["held"]]
        lines.append(_line(cells))
    return "\n".join(lines)


def _interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    return "–" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""Tables as HTML: a caption, named rows and columns, numbers to the right, and a box of their own to scroll in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from whence import tables
from whence.document.markup import Anchors, text

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1000
TALL = 40
"""Rows from which on a table scrolls downwards, under its head."""


def table(caption: str, frame: pd.DataFrame, anchors: Anchors, heading: str = "") -> str:
    """A frame under its caption, which is only spoken, not shown, where ``heading`` says the same above it.

    At most 1,000 rows are shown, with a line that says so.
    """
    spoken = ' class="spoken"' if caption.strip().casefold() == heading.strip().casefold() else ""
    name = anchors.new(f"table {caption}")
    right = [' class="number"' if number else "" for number in tables.numeric(frame)]
    # A first column of words names its rows.
    named = bool(right) and not right[0]
    shown = tables.cells(frame.head(MOST_ROWS))
    head = "".join(_head(column, style) for column, style in zip(frame.columns, right, strict=True))
    body = "\n".join(_row(row, right, named) for row in shown)
    if not shown:
        width = f' colspan="{len(right)}"' if len(right) > 1 else ""
        body = f"<tr><td{width}>no rows</td></tr>"
    head = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    tall = " tall" if len(shown) > TALL else ""
    note = f'<p class="note">The first {MOST_ROWS:,} of {len(frame):,} rows.</p>\n' if len(frame) > MOST_ROWS else ""
    return (
        f'<div class="box{tall}" role="region" aria-labelledby="{name}" tabindex="0">\n'
        f'<table>\n<caption id="{name}"{spoken}>{text(caption) or "Table"}</caption>\n'
        f"{head}<tbody>\n{body}\n</tbody>\n</table>\n</div>\n{note}"
    )


def pairs(caption: str, rows: Sequence[tuple[str, str]], anchors: Anchors, heading: str = "") -> str:
    """Names and their values, one pair a row; the caption is only spoken where ``heading`` says the same."""
    name = anchors.new(f"table {caption}")
    spoken = ' class="spoken"' if caption.casefold() == heading.casefold() else ""
    body = "\n".join(f'<tr><th scope="row">{_folded(key)}</th><td>{text(value)}</td></tr>' for key, value in rows)
    return (
        f'<div class="box" role="region" aria-labelledby="{name}" tabindex="0">\n<table class="pairs">\n'
        f'<caption id="{name}"{spoken}>{text(caption)}</caption>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n'
    )


def _head(column: Any, style: str) -> str:
    return f'<th scope="col"{style}>{_folded(column)}</th>'


def _folded(name: Any) -> str:
    """A name such as median_within_sign_pearson, which may be folded, so that a column is as narrow as its numbers."""
    return text(name).replace("_", "_<wbr>").replace(".", ".<wbr>")


def _row(row: list[str], right: list[str], named: bool) -> str:
    made = []
    for column, (value, style) in enumerate(zip(row, right, strict=True)):
        tag, scope = ("th", ' scope="row"') if named and column == 0 else ("td", "")
        made.append(f"<{tag}{scope}{style}>{text(value)}</{tag}>")
    return f"<tr>{''.join(made)}</tr>"

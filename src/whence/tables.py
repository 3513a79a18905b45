"""Tables as text: for a person, a spreadsheet and a program. Cells may come from data that nobody vouches for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: what is missing or no finite number becomes null."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): _finite(value) for key, value in row.items()} for row in plain.to_dict("records")]


def csv_text(table: pd.DataFrame) -> str:
    """CSV in which no text can be taken for a formula: one that begins like it gets an apostrophe before it."""
    safe = table.rename(columns=_defused)
    for name, number in zip(safe.columns, numeric(safe), strict=True):
        if not number:
            safe[name] = safe[name].map(_defused)
    text: str = safe.to_csv(index=False, lineterminator="\n")
    return text


def cells(table: pd.DataFrame) -> list[list[str]]:
    """What is shown in each cell, row by row: four significant digits, and no character that steers a terminal."""
    plain = table.astype(object).where(table.notna(), None)
    return [[_shown(value) for value in row] for row in plain.itertuples(index=False, name=None)]


def plain_text(table: pd.DataFrame) -> str:
    """Columns under their names, numbers to the right."""
    rows = [[printable(str(name)) for name in table.columns], *cells(table)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = numeric(table)
    lines = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def numeric(table: pd.DataFrame) -> list[bool]:
    """Which columns hold numbers."""
    return [dtype.kind in "biuf" for dtype in table.dtypes]


def printable(text: str) -> str:
    """The text with control characters spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _defused(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # A carriage return alone is not quoted by every version of Python, and would end the row.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if value.startswith(FORMULA) else text

"""One numbered figure or table of a report, with what the compared publication prints and what a run finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from whence import tables as plain


@dataclass(frozen=True, eq=False)
class Section:
    """One numbered figure or table of a report.

    ``number``: "Figure 5.3", "Table 4.1", or "" where there is none; ``sentences``: findings in words, computed;
    ``figures``: PNG files, as paths relative to the run folder (an SVG of the same stem lies beside each);
    ``source``: what the compared publication prints, in words or numbers; ``chapter``: the heading under which the
    section stands, and a new chapter starts where it changes.
    """

    number: str
    title: str
    sentences: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    source: str = ""
    chapter: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """The section as JSON can hold it; what is missing or no finite number in its tables becomes null."""
        rows = {title: plain.records(table) for title, table in self.tables.items()}
        words = {"number": self.number, "title": self.title, "source": self.source, "chapter": self.chapter}
        return {**words, "sentences": [*self.sentences], "tables": rows, "figures": [*self.figures]}

    @classmethod
    def from_record(cls, record: Any) -> Section:
        """The section that ``record`` holds; raises KeyError, TypeError, ValueError or AttributeError if it is none."""
        number, title, source, chapter = (_text(record[name]) for name in ("number", "title", "source", "chapter"))
        sentences, figures = (_texts(record[name]) for name in ("sentences", "figures"))
        tables = {str(name): pd.DataFrame(rows) for name, rows in record["tables"].items()}
        return cls(number, title, sentences, tables, figures, source, chapter)


def _texts(values: Any) -> tuple[str, ...]:
    # A text alone would pass for a list of its letters.
    if not isinstance(values, list):
        raise TypeError(f"expected a list of texts, not {type(values).__name__}")
    return tuple(map(_text, values))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, not {type(value).__name__}")
    return value

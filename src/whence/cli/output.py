"""Reports on stdout, as a person or a program wants them; everything else goes to stderr."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from whence import files, tables
from whence.cli.options import Format

if TYPE_CHECKING:
    import pandas as pd

    from whence.studies.study import Report


def aside() -> contextlib.AbstractContextManager[object]:
    """While work is done, what anyone prints goes to stderr, so that stdout holds results only."""
    return contextlib.redirect_stdout(sys.stderr)


def show(report: Report, folder: Path, form: Format = "table") -> None:
    """Print a report: sentences, tables and where its figures lie; as JSON; or its tables as CSV."""
    if form == "json":
        print(files.json_text({"run": str(folder), **report.record}))
    elif form == "csv":
        print("\n".join(_csv(report)), end="")
    else:
        print("\n\n".join(_words(report, folder)))


def _csv(report: Report) -> list[str]:
    """One table as it is; several with their titles, set apart by empty lines."""
    texts = {title: tables.csv_text(table) for title, table in report.tables.items()}
    if len(texts) == 1:
        return [*texts.values()]
    return [f"# {tables.printable(title)}\n{text}" for title, text in texts.items()]


def _words(report: Report, folder: Path) -> list[str]:
    parts = [_table(title, table) for title, table in report.tables.items()]
    parts += ["\n".join(map(tables.printable, report.sentences))] if report.sentences else []
    figures = [tables.printable(str(folder / name)) for name in report.figures]
    return parts + (["\n".join(["figures:", *figures])] if figures else [])


def _table(title: str, table: pd.DataFrame) -> str:
    title = tables.printable(title)
    if table.empty:
        return f"{title}\n(no rows)"
    framed = _framed(title, table) if sys.stdout.isatty() else None
    return framed or f"{title}\n{tables.plain_text(table)}"


def _framed(title: str, table: pd.DataFrame) -> str | None:
    """The table for a terminal; None if it is wider than that."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout)
    frame = Table(title=Text(title), title_justify="left", title_style="bold")
    for name, right in zip(table.columns, tables.numeric(table), strict=True):
        frame.add_column(Text(tables.printable(str(name))), justify="right" if right else "left", no_wrap=True)
    for row in tables.cells(table):
        frame.add_row(*map(Text, row))
    if console.measure(frame).minimum > console.width:
        return None
    with console.capture() as captured:
        console.print(frame)
    return captured.get().rstrip("\n")

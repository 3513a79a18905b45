"""``whence show``: the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whence.cli.options import Format


def show(folder: Annotated[Path, Parameter(help="A run folder.")], /, *, format: Format = "table") -> None:
    """Print the report of a run folder: its tables, sentences and where its figures lie."""
    from whence.cli import finished, output

    _, report = finished.read(folder)
    output.show(report, folder, format)

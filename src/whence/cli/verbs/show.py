"""``whence show``: the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whence.cli.errors import CommandError
from whence.cli.options import Format


def show(folder: Annotated[Path, Parameter(help="A run folder.")], /, *, format: Format = "table") -> None:
    """Print the report of a run folder: its tables, sentences and where its figures lie."""
    from whence.cli import output
    from whence.execution.store import RunFolder
    from whence.studies.study import Report

    run = RunFolder.read(folder)
    if not (folder / "report.json").exists():
        raise CommandError(
            f"{folder} has no report yet, its {run.about['kind']} is not finished; give its command again"
        )
    output.show(Report.load(folder), folder, format)

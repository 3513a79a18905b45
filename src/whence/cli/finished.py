"""The report of a run folder, for the verbs that show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from whence.cli.errors import CommandError

if TYPE_CHECKING:
    from whence.execution.store import RunFolder
    from whence.studies.study import Report


def read(folder: Path) -> tuple[RunFolder, Report]:
    """The run and its report; raises RunError if the folder is no run, CommandError if it has no report yet."""
    from whence.execution.store import RunFolder
    from whence.studies.study import Report

    run = RunFolder.read(folder)
    if not (folder / "report.json").exists():
        raise CommandError(
            f"{folder} has no report yet, its {run.about['kind']} is not finished; give its command again"
        )
    return run, Report.load(folder)

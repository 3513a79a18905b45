"""``whence refit``: what removing some training examples of a run together does to its queries, by a real refit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whence.cli.options import Format


def refit(
    folder: Annotated[Path, Parameter(help="A run folder.")],
    /,
    *,
    without: Annotated[
        str,
        Parameter(
            help="Training ids as in 3,17, a JSON list, or - to read them from stdin.", allow_leading_hyphen=True
        ),
    ],
    model: Annotated[str | None, Parameter(help="MODULE:FUNCTION, for a run of your own program.")] = None,
    data: Annotated[Path | None, Parameter(help="Folder with the files that the run's study reads.")] = None,
    format: Format = "table",
) -> None:
    """Remove training examples together, refit the model, keep and print what changed."""
    from whence import files
    from whence.cli import output, removal
    from whence.execution.store import RunFolder

    wanted = removal.Removal.read(without)
    read = RunFolder.read(folder)
    with output.aside(), removal.stopped_cleanly():
        truth = wanted.kept(read)
        if truth is None:
            from whence.cli.reopened import reopen
            from whence.retraining.group import STEPS, leave_group_out

            with RunFolder.open(folder, read.config, read.about["kind"]) as run:
                removal.tell(0, STEPS, "opening the run")
                opened = reopen(run, model, data)
                group = {wanted.name: wanted.among(opened.train.ids)}
                given = (opened.task, opened.train, opened.queries)
                truth = leave_group_out(*given, group, opened.refit, removal.tell)
                run.save(wanted.name, truth)
                removal.tell(STEPS, STEPS, "done")
    found = removal.record(wanted.name, truth)
    if format == "json":
        print(files.json_text(found))
    else:
        output.show(removal.report_of(found, truth), folder, format)

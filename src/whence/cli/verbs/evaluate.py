"""``whence evaluate``: the method card of a run's own model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from whence.cli.options import Format, Jobs


def evaluate(
    folder: Annotated[Path, Parameter(help="A run folder, of `whence attribute` or `whence study run`.")],
    /,
    *,
    model: Annotated[str | None, Parameter(help="MODULE:FUNCTION, for a run of your own program.")] = None,
    methods: Annotated[str | None, Parameter(help="Some of the methods, as in influence,loss; else all.")] = None,
    effort: Annotated[Literal["quick", "standard"], Parameter(help="How much is refitted.")] = "standard",
    wrong: Annotated[str | None, Parameter(help="Training ids whose labels are known to be wrong, as in 3,17.")] = None,
    out: Annotated[Path | None, Parameter(help="The card's own run folder; DIR/card if left out.")] = None,
    data: Annotated[Path | None, Parameter(help="Folder with the files that the run's study reads.")] = None,
    seed: Annotated[int, Parameter(help="Of everything drawn at random.", validator=Number(gte=0))] = 0,
    format: Format = "table",
    jobs: Jobs = 1,
) -> None:
    """Judge methods by refits of a run's own model, with what each costs, and print the method card."""
    from dataclasses import replace

    from whence.card.plan import EFFORTS
    from whence.card.write import Model, write_card
    from whence.cli import output, removal
    from whence.cli.reopened import reopen
    from whence.execution import JoblibMapper, RunFolder
    from whence.mapping import SerialMapper
    from whence.studies.study import Progress

    read, plan = RunFolder.read(folder), replace(EFFORTS[effort], seed=seed)
    with output.aside(), removal.stopped_cleanly():
        with RunFolder.open(folder, read.config, read.about["kind"]) as run:
            opened = reopen(run, model, data)
        known = removal.Removal.read(wrong).among(opened.train.ids) if wrong else []
        judged = Model(opened.task, opened.train, opened.queries, opened.refit, known)
        names = [name.strip() for name in methods.split(",") if name.strip()] if methods else []
        place, config = out or folder / "card", {"effort": effort, "plan": plan.config, **judged.config}
        with RunFolder.open(place, config, kind="card") as kept:
            mapper = JoblibMapper(jobs) if jobs > 1 else SerialMapper()
            report = write_card(kept, judged, plan, mapper, Progress("card").say, names)
    output.show(report, place, format)

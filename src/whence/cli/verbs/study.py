"""``whence study``: list the ready-made studies, run one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from whence.cli.errors import CommandError
from whence.cli.options import Format, Jobs, Out
from whence.studies import catalogue

if TYPE_CHECKING:
    from whence.studies.study import Settings, Study

app = App(name="study", help="Ready-made studies: list them, or run one.")


@app.command(name="list")
def list_studies() -> None:
    """List the studies."""
    width = max(map(len, catalogue.STUDIES))
    for name, (_, summary) in catalogue.STUDIES.items():
        print(f"{name:<{width}}  {summary}")


@app.command
def run(
    name: Annotated[str, Parameter(help="One of `whence study list`.")],
    /,
    *,
    out: Out,
    size: Annotated[Literal["tiny", "standard", "full"], Parameter(help="How much is computed.")] = "standard",
    seed: Annotated[int, Parameter(help="Of everything drawn at random.", validator=Number(gte=0))] = 0,
    jobs: Jobs = 1,
    effort: Annotated[
        Literal["quick", "full", "faithful"], Parameter(help="How much is retrained, where a study offers a choice.")
    ] = "quick",
    stage: Annotated[str | None, Parameter(help="Only this stage, again, and what it needs.")] = None,
    data: Annotated[Path | None, Parameter(help="Folder with MNIST's IDX files; else $WHENCE_MNIST.")] = None,
    format: Format = "table",
) -> None:
    """Run a study, or go on with it, and print its report."""
    study = catalogue.find(name)
    from whence.cli import output
    from whence.execution.store import RunFolder
    from whence.studies.study import Settings

    settings = Settings(size, seed, jobs, effort, stage, data)
    _check(study, settings)
    with output.aside(), RunFolder.open(out, {"study": name, **study.config(settings)}, kind="study") as folder:
        report = study.run(folder, settings)
        report.save(folder)
    output.show(report, out, format)


def _check(study: Study, settings: Settings) -> None:
    if settings.effort not in study.efforts:
        raise CommandError(f"the study {study.name!r} knows no --effort {settings.effort}; leave it out")
    if settings.stage is not None and settings.stage not in study.stages:
        stages = ", ".join(study.stages)
        remedy = f"choose one of {stages}" if stages else "it has none; leave --stage out"
        raise CommandError(f"the study {study.name!r} has no stage {settings.stage!r}; {remedy}")

"""``whence study``: list the ready-made studies, run one."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from whence.cli.options import Format, Jobs, Out
from whence.studies import catalogue

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
    format: Format = "table",
) -> None:
    """Run a study, or go on with it, and print its report."""
    study = catalogue.find(name)
    from whence.cli import output
    from whence.execution.store import RunFolder
    from whence.studies.study import Settings

    settings = Settings(size, seed, jobs)
    with output.aside(), RunFolder.open(out, {"study": name, **settings.config}, kind="study") as folder:
        report = study.run(folder, settings)
        report.save(folder)
    output.show(report, out, format)

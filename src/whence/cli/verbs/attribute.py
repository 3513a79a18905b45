"""``whence attribute``: the training examples behind predictions of one's own model."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from whence.cli.methods import DampingWord, MethodName, SolverName, build
from whence.cli.options import Format, Jobs, Out, Verify


def attribute(
    program: Annotated[str, Parameter(help="MODULE:FUNCTION, which returns (task or module, train, queries).")],
    /,
    *,
    method: Annotated[MethodName, Parameter(help="How scores are computed.")],
    queries: Annotated[str, Parameter(help="`wrong` (those misclassified), or ids as in 3,17.")],
    out: Out,
    damping: Annotated[
        DampingWord | None, Parameter(help="Added to the curvature, or auto; the method's default if left out.")
    ] = None,
    top: Annotated[int, Parameter(help="Examples listed a query and side.", validator=Number(gte=1))] = 10,
    solver: Annotated[SolverName | None, Parameter(help="The method's default if left out.")] = None,
    verify: Verify = None,
    exhibit: Annotated[bool, Parameter(help="Keep what a page shows: rows, maps, neighbours.")] = True,
    format: Format = "table",
    jobs: Jobs = 1,
) -> None:
    """Score all training examples for some queries, keep the scores as a run, and print the strongest."""
    attributor = build(method, damping, solver)
    from whence.cli import asked, exhibits, findings, output
    from whence.cli.program import fingerprint, load
    from whence.execution import JoblibMapper, RunFolder, record
    from whence.mapping import SerialMapper
    from whence.parameters import checkpoint_hash
    from whence.studies.study import Progress

    record.check_place(out)
    with output.aside():
        loaded, progress = load(program), Progress("attribute")
        wanted = asked.select(loaded.task, loaded.queries, queries)
        config: dict[str, Any] = {"program": program, "method": method, "options": attributor.options}
        config |= {"queries": queries, "model": checkpoint_hash(loaded.task.module)}
        config |= {"train_data": fingerprint(loaded.train), "query_data": fingerprint(wanted)}
        config |= {"verify": verify} if verify else {}
        with RunFolder.open(out, config, kind="attribute") as run:
            if not run.path("scores").exists():
                progress.say(f"{attributor.name} for {len(wanted)} queries and {len(loaded.train)} training examples")
                mapper = JoblibMapper(jobs) if jobs > 1 else SerialMapper()
                explainer = attributor.fit(loaded.task, loaded.train, mapper)
                run.save("scores", explainer.attribute(wanted, verify=verify))
            report = findings.report_of(run.load("scores"), top)
            report.save(run)
            if exhibit:
                exhibits.add(run, program, loaded, wanted, attributor)
    output.show(report, out, format)

"""The exhibit of a run by ``whence attribute``: made where it can be, and a warning where it cannot."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import xarray as xr

from whence.attribution.attributor import AbstractAttributor
from whence.attribution.influence import InfluenceFunction
from whence.cli.program import Program
from whence.cli.reopened import damping_of
from whence.examples import Examples
from whence.execution.store import RunFolder
from whence.exhibit import Choices, exhibit
from whence.solvers.dense import Dense
from whence.studies.study import Progress

SMALL = 500
"""Parameters up to which self-influence is worked out by a dense solve whatever solver was asked for."""


def add(run: RunFolder, name: str, program: Program, queries: Examples, method: AbstractAttributor) -> None:
    """Write the exhibit of a run of ``name`` (MODULE:FUNCTION). A model or data that are odd must not lose the scores.

    ``queries``: those that were asked about.
    """
    choices = Choices(
        title=name,
        self_influence=_self_influence(program, method),
        refit="program",
        damping=damping_of(run),
    )
    try:
        exhibit(run, program.task, program.train, queries, choices, Progress("exhibit").say)
    except Exception as error:  # noqa: BLE001  the scores stand; whatever is odd about the rows must not undo that
        words = f"{type(error).__name__}: {error}"
        warnings.warn(f"the scores are kept, but not what a page shows beside them ({words})", stacklevel=2)


def _self_influence(program: Program, method: AbstractAttributor) -> Callable[[], xr.DataArray] | None:
    """How self-influence is worked out, where a solve for every training example is affordable."""
    solver, damping = getattr(method, "solver", None), getattr(method, "damping", None)
    if solver is None or damping is None:
        return None
    if not isinstance(solver, Dense):
        if program.task.layout.size > SMALL:
            return None
        method = InfluenceFunction(Dense(), damping)
    return lambda: method.fit(program.task, program.train).self_influence()

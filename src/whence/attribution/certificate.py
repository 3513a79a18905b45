"""The certificate of a score: what its linear solves say of themselves, and several such reports as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from whence.results import solver_report
from whence.solvers.solver import Solution


def certificate(name: str, solution: Solution) -> dict[str, Any]:
    """The report of one solve: converged if all its columns are, with the worst residual among them."""
    return solver_report(
        name,
        bool(solution.converged.all()),
        float(solution.residual.max(initial=0.0)),
        solution.iterations,
        solution.lambda_min,
        solution.lambda_max,
    )


def joined(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One report for several solves: a score is only as good as the worst of them."""
    listed = list(reports)

    def extreme(choose: Any, key: str) -> Any:
        return choose((report[key] for report in listed if report[key] is not None), default=None)

    return solver_report(
        listed[0]["name"],
        all(report["converged"] for report in listed),
        extreme(max, "relative_residual"),
        max(report["iterations"] for report in listed),
        extreme(min, "lambda_min"),
        extreme(max, "lambda_max"),
    )


def together(solutions: Sequence[Solution], value: Tensor) -> Solution:
    """Solutions side by side as one, whose columns ``value`` [parameter, k] holds."""
    return replace(
        solutions[0],
        value=value,
        converged=np.concatenate([one.converged for one in solutions]),
        residual=np.concatenate([one.residual for one in solutions]),
        iterations=max(one.iterations for one in solutions),
    )


def warn_unless_converged(report: Mapping[str, Any], stacklevel: int) -> None:
    """A RuntimeWarning with the remedy if a solve did not converge; the result carries the report in any case."""
    if not report["converged"]:
        warnings.warn(
            f"{report['name']} did not converge (worst relative residual {report['relative_residual']:.2g} after "
            f"{report['iterations']} iterations): raise its iterations, its preconditioner or the damping. "
            "The result says which queries are concerned.",
            RuntimeWarning,
            stacklevel=stacklevel + 1,
        )

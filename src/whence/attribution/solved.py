"""One solve a query, s_q = (H + damping·I)⁻¹∇m_q, for what else influence tells of it: by layer, by training input."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from torch import Tensor

from whence import checks
from whence.attribution.attributor import Explainer
from whence.attribution.certificate import certificate
from whence.attribution.influence import InfluenceFunction
from whence.examples import as_examples
from whence.gradients.labels import labels_of


@dataclass(frozen=True)
class Solved:
    """``directions`` s_q [parameter, query] in float64, the queries' coordinates, and what a result says of itself."""

    directions: Tensor
    coords: dict[str, Any]
    attrs: dict[str, Any]


def solved(explainer: Explainer, queries: Any, what: str) -> Solved:
    """Solve for the queries; ``what`` is asked of the explainer, for the TypeError if it is of another method.

    Warns where a solve did not converge; raises ValueError for bad queries.
    """
    method, o = explainer.attributor, explainer.objective
    if not isinstance(method, InfluenceFunction):
        raise TypeError(f"{what} is of InfluenceFunction, not of {method.name}")
    asked = as_examples(queries)
    checks.check_data(o.task, o.theta, asked, "query")
    solution = method.directions(o, explainer.prepared, asked)
    report = certificate(method.solver.name, solution)
    if not report["converged"]:
        warnings.warn(
            f"{report['name']} did not converge (worst relative residual {report['relative_residual']:.2g}): "
            "raise its iterations, its preconditioner or the damping.",
            RuntimeWarning,
            stacklevel=3,
        )
    coords = labels_of(o, asked).coordinates("query")
    coords |= {"query_residual": ("query", solution.residual), "query_converged": ("query", solution.converged)}
    quantity, unit = method.measured(o.task)
    attrs: dict[str, Any] = {
        "method": method.name,
        "quantity": quantity,
        "unit": unit,
        "sign": method.sign,
        "solver": report,
    }
    attrs |= {"damping": explainer.damping, "task": o.task.describe(), "objective": o.task.objective}
    attrs |= {"checkpoint": o.checkpoint, "precision": o.precision, "version": version("whence")}
    return Solved(solution.value.double(), coords, attrs)

"""One solve a query, s_q = (H + damping·I)⁻¹∇m_q, for what else influence tells of it: by layer, by training input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from whence.attribution.certificate import certificate, warn_unless_converged
from whence.attribution.explainer import Explainer
from whence.attribution.influence import InfluenceFunction
from whence.examples import as_examples
from whence.gradients.labels import checked_labels


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
    labels = checked_labels(o, asked, "query")
    solution = method.directions(o, explainer.prepared, asked)
    report = certificate(method.solver.name, solution)
    warn_unless_converged(report, stacklevel=3)
    coords = labels.coordinates("query")
    coords |= {"query_residual": ("query", solution.residual), "query_converged": ("query", solution.converged)}
    return Solved(solution.value.double(), coords, explainer.described(report, {}))

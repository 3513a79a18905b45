"""How much of an answer hangs on the damping: scores at several dampings beside one another, and beside refits.

Damping chooses the question (which proximal refit is predicted), and nobody knows the right one beforehand. Two things
help: where neighbouring dampings rank the examples alike the choice hardly matters, and a few refits of the kind that
one cares for (a pilot) say which damping predicts them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.attribution.attributor import AbstractAttributor
from whence.curvature.choice import operator_of
from whence.curvature.operator import Matrix
from whence.evaluation import agreement, statistics
from whence.evaluation.bootstrap import Bootstrap
from whence.examples import as_examples
from whence.gradients import tuning
from whence.mapping import AbstractMapper, SerialMapper
from whence.objective import objective_of
from whence.results import same_quantity
from whence.solvers.automatic_damping import automatic_damping
from whence.solvers.dense import Dense, dense_matrix
from whence.solvers.eigen import Eigen
from whence.solvers.solver import IndefiniteError
from whence.task import AbstractTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AROUND = 10.0 ** np.arange(-1.5, 1.51, 0.5)
"""Multiples of the automatic damping, or of λ_max/10,000 where that is 0."""
TOP = 10
STABLE = "ranks of the next damping"


@dataclass(frozen=True)
class Sweep:
    """``scores`` by damping, rising; ``refused``: dampings for which the curvature is indefinite, and what was said.

    ``stability``: one row a (damping, next damping, query): Spearman's correlation over the n training examples, and
    the shared part of the ten largest by absolute value.
    ``agreement``: the rows of :func:`whence.agreement` with a column damping, for each truth that was given.
    """

    scores: Mapping[float, xr.DataArray]
    stability: pd.DataFrame
    agreement: pd.DataFrame
    refused: Mapping[float, str]

    @property
    def curves(self) -> pd.DataFrame:
        """What the figure draws: medians over queries with bootstrap intervals over queries, a row a (method, damping).

        Rank stability stands at the geometric mean of the two dampings. A single query has its own bootstrap interval
        over removals instead.
        """
        parts = []
        for pair, rows in self.stability.groupby(["damping", "next"], sort=True):
            low, high = Bootstrap().median(rows["spearman"].to_numpy())
            middle = rows["spearman"].median()
            parts.append((f"{STABLE} (Spearman)", float(np.sqrt(pair[0] * pair[1])), middle, low, high, len(rows)))
        for (kind, sample, damping), rows in self.agreement.groupby(["kind", "sample", "damping"], sort=False):
            name = "pearson" if rows["pearson"].notna().any() else "spearman"
            low, high = Bootstrap().median(rows[name].to_numpy())
            if len(rows) == 1:
                low, high = rows[f"{name}_low"].iloc[0], rows[f"{name}_high"].iloc[0]
            method = f"{kind} refits, {sample} ({name.title()})"
            parts.append((method, float(damping), rows[name].median(), low, high, len(rows)))
        return pd.DataFrame(parts, columns=["method", "damping", "value", "low", "high", "queries"])

    def figure(self, title: str = "") -> Figure:
        """Rank stability and agreement over the damping, see :func:`whence.plots.damping_sweep`."""
        from whence.plots import damping_sweep as drawn

        return drawn(self.curves, "correlation", title)


def damping_sweep(
    method: AbstractAttributor,
    model: AbstractTask,
    train: Any,
    queries: Any,
    dampings: Sequence[float] | None = None,
    truths: Sequence[xr.Dataset] = (),
    mapper: AbstractMapper | None = None,
) -> Sweep:
    """Score the queries by ``method`` at each of ``dampings`` and lay them beside one another and the ``truths``.

    ``method``: one with a damping and a curvature, such as InfluenceFunction(Dense()); its own damping does not count.
    ``dampings``: by default seven, half a decade apart, around the automatic one. ``truths``: a pilot of refits by
    ``whence.retraining.leave_out``, of any kind. Direct solvers share one matrix of the curvature.
    Raises TypeError for a method without damping, ValueError for dampings that are repeated or not positive, or if
    all are refused as too small.
    """
    names: set[str] = {f.name for f in dataclasses.fields(method)} if dataclasses.is_dataclass(method) else set()
    if not {"damping", "curvature"} <= names:
        raise TypeError(f"the method {method.name!r} has no damping to sweep; give InfluenceFunction(...)")
    mapper, data, asked = mapper or SerialMapper(), as_examples(train), as_examples(queries)
    method, found = _with_matrix(method, model, data, mapper, dampings)
    scores: dict[float, xr.DataArray] = {}
    refused: dict[float, str] = {}
    for damping in found:
        try:
            explainer = dataclasses.replace(method, damping=damping).fit(model, data, mapper)  # type: ignore[type-var]
            scores[damping] = explainer.attribute(asked)
        except IndefiniteError as error:
            refused[damping] = str(error)
    if not scores:
        raise ValueError(f"every damping up to {max(found):g} leaves the curvature indefinite: {refused[max(found)]}")
    return Sweep(scores, stability(scores), _agreements(scores, truths), refused)


def stability(scores: Mapping[float, xr.DataArray]) -> pd.DataFrame:
    """How alike neighbouring dampings rank the training examples: one row a (damping, next, query).

    Columns: damping, next, query, n (training examples), spearman, top_k_overlap, k.
    """
    rows = []
    for low, high in pairwise(sorted(scores)):
        for identity in scores[low]["query"].values.tolist():
            one, other = (np.asarray(scores[damping].sel(query=identity).values) for damping in (low, high))
            row = {"damping": low, "next": high, "query": identity, "n": len(one)}
            row |= {"spearman": statistics.spearman(one, other), "k": min(TOP, len(one))}
            rows.append(row | {"top_k_overlap": statistics.top_k_overlap(one, other, TOP)})
    columns = ["damping", "next", "query", "n", "spearman", "top_k_overlap", "k"]
    return pd.DataFrame(rows, columns=columns)


def _agreements(scores: Mapping[float, xr.DataArray], truths: Sequence[xr.Dataset]) -> pd.DataFrame:
    parts = [
        agreement(array, truth, rank_only=not same_quantity(array.attrs, truth.attrs)).assign(damping=damping)
        for damping, array in scores.items()
        for truth in truths
    ]
    columns = ["kind", "sample", "query", "damping", "pearson", "spearman"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _with_matrix(
    method: Any, model: AbstractTask, train: Any, mapper: AbstractMapper, dampings: Sequence[float] | None
) -> tuple[Any, list[float]]:
    """The method over a curvature that is worked out once if its solver is direct, and the dampings, rising."""
    objective = tuning.tuned(objective_of(model, train))
    operator = operator_of(method.curvature, objective)
    if isinstance(method.solver, Dense | Eigen) and not isinstance(operator, Matrix):
        operator = Matrix(dense_matrix(operator, mapper, method.solver.largest), objective.checkpoint)
        method = dataclasses.replace(method, curvature=operator)
    if dampings is None:
        found = automatic_damping(operator)
        middle = found.value or found.lambda_max / 1e4
        return method, [float(f"{middle * factor:.2g}") for factor in AROUND]
    values = [float(damping) for damping in dampings]
    if not values or len(set(values)) != len(values) or not all(np.isfinite(values)) or min(values) <= 0:
        raise ValueError(f"dampings must be positive and different numbers, not {list(dampings)}")
    return method, sorted(values)

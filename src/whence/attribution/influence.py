"""Influence functions (Koh and Liang, ICML 2017): the first-order effect of removing a training example.

    score[q, i] = ∇m_q · (H + damping·I)⁻¹ (∇ℓ_i − ∇L) / (n−1)          mean objective, L the mean loss
    score[q, i] = ∇m_q · (H + damping·I)⁻¹ ∇ℓ_i                          sum objective

H is the Hessian of the objective with its penalty. At a stationary point −∇L is the penalty's gradient, so the mean
form carries ∇(ℓ_i + penalty), as Koh and Liang's code does. Everything is summed over the data first; one solve a
query serves all training examples (their Eq. 3; Eq. 3.6 of the thesis).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.certificate import certificate, joined, together
from whence.attribution.passes import passes_often
from whence.curvature.choice import Curvature, name_of, operator_of
from whence.examples import Examples
from whence.gradients import products, rows
from whence.gradients.functional import mean_gradient
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.solvers.automatic_damping import Damping, settled, value_of
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.factored import Factored
from whence.solvers.solver import AbstractSolver, Solution, State

SOLVED_BYTES = 2**24
"""Of the right-hand sides in float64 that are solved together."""


@final
@dataclass(frozen=True)
class InfluenceFunction(AbstractAttributor):
    """``solver``: how (H + damping·I)⁻¹ is applied.

    ``damping``: must exceed −λ_min; 0 for a strict minimum; ``"auto"``: as much as the spectrum asks for
    (:mod:`whence.solvers.automatic_damping`), with the reason in the result's notes.
    ``curvature``: a name (:mod:`whence.curvature.choice`) such as ``"hessian"``, ``"gauss-newton"`` or ``"ekfac"``, an
    ``Approximation`` with options, or an operator worked out before.
    """

    solver: AbstractSolver = field(default_factory=ConjugateGradient)
    damping: Damping = 0.01
    curvature: Curvature = "hessian"

    @property
    def name(self) -> str:
        return "influence"

    @property
    def many_passes(self) -> bool:
        return passes_often(self.solver, self.curvature)

    @property
    def by_gradients(self) -> bool:
        return True

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        operator, damping, why = settled(self.damping, operator_of(self.curvature, objective), self.solver, mapper)
        state = self.solver.prepare(operator.damped(damping), mapper)
        report = solver_report(self.solver.name, lambda_min=state.lambda_min, lambda_max=state.lambda_max)
        return Prepared(state.tensors, report, {"curvature": name_of(self.curvature), **why, **state.notes})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        task, theta = objective.task, objective.theta
        solution = self._piece_by_piece(objective, prepared, queries)
        plan = products.plan_products(task, theta, objective.train, len(queries), objective.batch_size)
        found = products.products_of_all(task, theta, objective.train, solution.value, plan, mapper)
        found = products.centred(found, objective.removal) if objective.mean else found
        notes = {"gradient_mode": plan.mode, "gradient_way": plan.way, "gradient_reason": plan.reason}
        report = certificate(self.solver.name, solution)
        return Scored(found.T, report, solution.residual, solution.converged, notes)

    def _piece_by_piece(self, objective: Objective, prepared: Prepared, queries: Examples) -> Solution:
        """The directions in the model's own precision: solves in float64 need several times their memory.

        A solver that passes over the data is asked once, since each of its answers has a certificate that costs passes.
        """
        theta, count = objective.theta, len(queries)
        at_once = max(1, SOLVED_BYTES // (8 * len(theta))) if isinstance(self.solver, Factored) else count
        value = theta.new_empty(len(theta), count)
        solutions = []
        for start in range(0, count, at_once):
            part = slice(start, min(start + at_once, count))
            found = self.directions(objective, prepared, queries[np.arange(part.start, part.stop)])
            value[:, part] = found.value
            solutions.append(replace(found, value=value[:, part]))
        return together(solutions, value)

    def directions(self, objective: Objective, prepared: Prepared, queries: Examples) -> Solution:
        """s_q = (H + damping·I)⁻¹∇m_q of each query [parameter, query]: all that a score needs of it."""
        asked = [piece for _, piece in rows.gradient_rows(objective.task, objective.theta, queries, "measure")]
        return self._solve(objective, prepared, torch.cat(asked).T)

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        task, theta, train = objective.task, objective.theta, objective.train
        mean = mean_gradient(objective)
        scores, reports = [], []
        pairs = zip(
            rows.gradient_rows(task, theta, train, "measure"), rows.gradient_rows(task, theta, train), strict=True
        )
        for (_, asked), (_, own) in pairs:
            solution = self._solve(objective, prepared, (own.double() - mean).T)
            scores.append(objective.removal * (asked.double() * solution.value.T).sum(1))
            reports.append(certificate(self.solver.name, solution))
        return Scored(torch.cat(scores), joined(reports))

    def parameter_change(self, objective: Objective, prepared: Prepared, examples: Examples) -> Tensor:
        own = [piece for _, piece in rows.gradient_rows(objective.task, objective.theta, examples)]
        right = torch.cat(own).double() - mean_gradient(objective)
        return objective.removal * self._solve(objective, prepared, right.T).value.T

    def _solve(self, objective: Objective, prepared: Prepared, v: Tensor) -> Solution:
        report = prepared.solver
        state = State(prepared.tensors, report["lambda_min"], report["lambda_max"], prepared.notes)
        damping = value_of(self.damping, prepared.notes)
        return self.solver.solve(operator_of(self.curvature, objective).damped(damping), state, v)

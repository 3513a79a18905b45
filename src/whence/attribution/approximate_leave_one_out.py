"""Approximate leave-one-out (Rad and Maleki, JRSS-B 2020; Beirami et al. 2017): influence corrected for leverage.

First-order influence forgets that removing i also changes the curvature. One Newton step on the objective without i
uses B − c·J_iᵀA_iJ_i, where B = s·∇²(loss part) + diag(λ) + damping·I with s = n/(n−1), c = 1/(n−1) for a mean
objective and s = c = 1 for a sum. A_i is the Hessian of ℓ_i in its output, J_i the output's Jacobian, r_i = ∂ℓ_i/∂f.
With K_i = J_i B⁻¹ J_iᵀ (the leverage, a matrix as large as the output is long) Woodbury's identity gives

    θ₋ᵢ − θ = B⁻¹(J_iᵀ z_i − c∇L),   z_i = c·r_i + c·(I − c·A_iK_i)⁻¹ A_i (K_i r_i − J_iB⁻¹∇L)·c,   ∇L = 0 for a sum

so the correction only replaces the output residual c·r_i by z_i. The query's outputs move by J_q(θ₋ᵢ − θ), and the
measurement is taken there anew, not linearised. Exact for squared error of a linear model (Cook's distance), nearly
exact for logistic regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.certificate import certificate, joined
from whence.attribution.passes import passes_often
from whence.batch import Batch
from whence.curvature.choice import Curvature, operator_of
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.examples import Examples
from whence.gradients import rows
from whence.gradients.functional import mean_gradient
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.solvers.automatic_damping import Damping, settled, value_of
from whence.solvers.dense import Dense
from whence.solvers.solver import AbstractSolver, Solution, State
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class ApproximateLeaveOneOut(AbstractAttributor):
    """``solver``: serves n·outputs right-hand sides, so a direct one; ``damping``, ``curvature`` as for influence."""

    solver: AbstractSolver = field(default_factory=Dense)
    damping: Damping = 0.01
    curvature: Curvature = "hessian"

    @property
    def name(self) -> str:
        return "leverage-corrected influence"

    @property
    def many_passes(self) -> bool:
        return passes_often(self.solver, self.curvature)

    @property
    def by_gradients(self) -> bool:
        return True

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        whole = leave_one_out_curvature(self.curvature, objective)
        whole, damping, why = settled(self.damping, whole, self.solver, mapper)
        operator = whole.damped(damping)
        state = self.solver.prepare(operator, mapper)
        mean = mean_gradient(objective)
        base = self._solve(operator, state, mean[:, None])
        part = partial(_corrected_residuals, self, objective, operator, state, mean, base.value)
        found = mapper.concat(part, objective.train.shards(mapper.shards))
        residuals, own = torch.cat([piece[0] for piece in found]), torch.cat([piece[1] for piece in found])
        tensors = {**state.tensors, "residuals": residuals, "own": own}
        report = joined([certificate(self.solver.name, base), *(piece[2] for piece in found)])
        return Prepared(tensors, report, {**why, **state.notes})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        operator = self._operator(objective, prepared)
        report = prepared.solver
        state = State(prepared.tensors, report["lambda_min"], report["lambda_max"], prepared.notes)
        asked = list(rows.jacobians(objective.task, objective.theta, queries))
        width = asked[0][3].shape[1]
        right = torch.cat([jacobian for *_, jacobian in asked]).double()
        solution = self._solve(operator, state, right.reshape(-1, right.shape[2]).T)
        found = mapper.concat(
            partial(_moves, objective, prepared.tensors["residuals"], solution.value),
            [(shard, start) for shard, start in _with_starts(objective.train, mapper.shards)],
        )
        moved = torch.cat(found) - objective.removal * (mean_gradient(objective) @ solution.value)
        moved = moved.reshape(objective.count, len(queries), width)
        values = []
        for window, batch, output, _ in asked:
            values.append(_change(objective.task, output.double(), batch, moved[:, window]))
        # a query's certificate covers the solves of the training examples too
        residual = np.maximum(solution.residual.reshape(len(queries), width).max(1), report["relative_residual"])
        done = solution.converged.reshape(len(queries), width).all(1) & report["converged"]
        whole = joined([report, certificate(self.solver.name, solution)])
        return Scored(torch.cat(values), whole, residual, np.asarray(done))

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        values = []
        for window, batch in objective.train.batches(1024):
            with torch.no_grad():
                output = objective.task.predict(objective.theta, batch).double()
            moved = prepared.tensors["own"][window].reshape(output.shape)
            before, after = (objective.task.measure(value, batch) for value in (output, output + moved))
            values.append(after - before)
        return Scored(torch.cat(values), prepared.solver)

    def parameter_change(self, objective: Objective, prepared: Prepared, examples: Examples) -> Tensor:
        operator = self._operator(objective, prepared)
        positions = torch.from_numpy(objective.train.positions(examples.ids))
        residuals = prepared.tensors["residuals"][positions]
        right = torch.cat([piece for _, piece in _pulled(objective, residuals, examples)]).double()
        right = right - objective.removal * mean_gradient(objective)
        return self._solve(operator, State(prepared.tensors), right.T).value.T

    def _operator(self, objective: Objective, prepared: Prepared) -> AbstractOperator:
        damping = value_of(self.damping, prepared.notes)
        return leave_one_out_curvature(self.curvature, objective).damped(damping)

    def _solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        return self.solver.solve(operator, state, v)


def leave_one_out_curvature(choice: Curvature, objective: Objective) -> AbstractOperator:
    """B without damping: the loss part grown by n/(n−1), the penalty as it is."""
    whole, decay = operator_of(choice, objective), objective.decay.to(objective.theta)
    return objective.growth * (whole + Diagonal(-decay)) + Diagonal(decay)


def _corrected_residuals(
    method: ApproximateLeaveOneOut,
    objective: Objective,
    operator: AbstractOperator,
    state: State,
    mean: Tensor,
    base: Tensor,
    shard: Examples,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """(z_i, J_i(θ₋ᵢ − θ)) for the examples of a shard, each [example, output], and the certificate of the solves."""
    task, c = objective.task, objective.removal
    corrected, own, reports = [], [], []
    for _, batch, output, jacobian in rows.jacobians(task, objective.theta, shard):
        jacobian = jacobian.double()
        count, width, size = jacobian.shape
        solution = method._solve(operator, state, jacobian.reshape(-1, size).T)
        reports.append(certificate(method.solver.name, solution))
        leverage = jacobian @ solution.value.T.reshape(count, width, size).transpose(1, 2)
        residual = rows.output_gradient(task, output.double(), batch, "loss").reshape(count, width, 1)
        root = task.curvature_root(output.double(), batch.to(torch.float64, output.device))
        curvature = root @ root.transpose(1, 2)
        pushed = leverage @ residual - (jacobian @ base)
        eye = torch.eye(width, dtype=torch.float64)
        more = torch.linalg.solve(eye - c * curvature @ leverage, curvature @ pushed)
        z = c * residual + c * c * more
        corrected.append(z[:, :, 0])
        own.append((leverage @ z - c * (jacobian @ base))[:, :, 0])
    return torch.cat(corrected), torch.cat(own), joined(reports)


def _moves(objective: Objective, residuals: Tensor, solved: Tensor, piece: tuple[Examples, int]) -> Tensor:
    """z_iᵀ J_i B⁻¹ J_qᵀ for the examples of a shard [example, query·output]."""
    shard, start = piece
    part = residuals[start : start + len(shard)]
    return torch.cat([rows_ @ solved.to(rows_) for _, rows_ in _pulled(objective, part, shard)]).double()


def _pulled(objective: Objective, residuals: Tensor, examples: Examples) -> Iterator[tuple[slice, Tensor]]:
    def cotangent(window: slice, output: Tensor, batch: Batch) -> Tensor:
        return residuals[window].to(output).reshape(output.shape)

    return rows.cotangent_rows(objective.task, objective.theta, examples, cotangent)


def _with_starts(train: Examples, shards: int) -> list[tuple[Examples, int]]:
    found, start = [], 0
    for shard in train.shards(shards):
        found.append((shard, start))
        start += len(shard)
    return found


def _change(task: AbstractTask, output: Tensor, batch: Batch, moved: Tensor) -> Tensor:
    """m(f + move) − m(f) for every training example [query, train]."""
    before = task.measure(output, batch)
    after = [task.measure(output + move.reshape(output.shape), batch) for move in moved]
    return (torch.stack(after) - before).T

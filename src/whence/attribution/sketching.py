"""Influence sketching (Wojnowicz, Cruz, Zhao et al., IEEE Big Data 2016): Cook's distance in a random projection.

Leaving i out moves the projected parameters by one Newton step, Δ_i = (B − U_iᵀU_i)⁻¹ g_i, and the generalised Cook's
distance is the length of that step in the curvature of the model (Pregibon 1981),

    D_i = Δ_iᵀ B Δ_i / p,    U_i = R_iᵀ J_i P [rank, dimension],    B = Σ_i U_iᵀU_i + n·(PᵀΛP + ridge·I),

with P the projection [parameter, dimension], J_i the Jacobian of the output, R_i R_iᵀ the Hessian of ℓ_i in it,
g_i = Pᵀ(∇ℓ_i − ∇L) (a sum: Pᵀ∇ℓ_i, and no factor n), and p the number of parameters. Woodbury's identity gives the
step from B⁻¹. For a generalised linear model with one output U_i is √v_i·x_i P and D_i the paper's
r_i²h_i/(p(1 − h_i)²) with Pearson residual r_i and leverage h_i in the projected data; networks are linearised at θ̂.
For squared error, of which the Hessian is 2, D is 2s² times the usual distance, which divides by the residual variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.certificate import certificate, joined
from whence.attribution.projection import Kind, Projection, check_projection, factorised
from whence.batch import Batch
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.gradients import rows
from whence.gradients.functional import mean_gradient
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.solvers.dense import Dense
from whence.solvers.solver import State
from whence.task import AbstractTask

BATCH = 64


@final
@dataclass(frozen=True)
class InfluenceSketching(AbstractAttributor):
    """Which examples move the fit as a whole, the same for every query; a large value says nothing of help or harm.

    ``dimension``, ``projection``, ``ridge``: as for TRAK. Two passes over the data, of as many backward passes as the
    output is long; no memory grows with n. Raises ValueError as TRAK does.
    """

    dimension: int = 128
    projection: Kind = "gaussian"
    ridge: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_projection(self.dimension, self.projection)
        if self.ridge < 0:
            raise ValueError(f"ridge must not be negative, not {self.ridge}")

    @property
    def name(self) -> str:
        return "influence sketching"

    @property
    def sign(self) -> str:
        return "larger = leaving it out moves the model more; says nothing of help or harm"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "generalised Cook's distance in a projection", "none"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        o = objective
        projection = Projection(len(o.theta), self.dimension, self.seed, self.projection)
        shards = o.train.shards(mapper.shards)
        gram = torch.stack(mapper.concat(partial(_gram, o, projection), shards)).sum(0)
        gram = gram + projection.gram(o.decay.double() / o.weight)
        state = factorised(gram, self.ridge / o.weight, self.name, (len(o.theta), o.count * _rank(o)))
        mean = next(projection.down([(slice(0, 1), mean_gradient(o)[None])]))[0]
        found = mapper.concat(partial(_distances, o, projection, state, mean), shards)
        report = joined(
            [solver_report(Dense().name, lambda_min=state.lambda_min, lambda_max=state.lambda_max)]
            + [one[1] for one in found]
        )
        return Prepared({"distances": torch.cat([one[0] for one in found])}, report, dict(state.notes))

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["distances"].expand(len(queries), -1), prepared.solver)

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["distances"], prepared.solver)


def _rank(objective: Objective) -> int:
    """The number of outputs, for which an example gives so many rows."""
    with torch.no_grad():
        return objective.task.predict(objective.theta, objective.train.take(slice(0, 1)))[0].numel()


def _sketched(objective: Objective, projection: Projection, examples: Examples) -> Iterator[tuple[Tensor, Tensor]]:
    """(U [batch, rank, dimension], Pᵀ∇ℓ [batch, dimension]) in float64, batch after batch."""
    task, waiting = objective.task, list[tuple[Batch, Tensor]]()

    def flat() -> Iterator[tuple[slice, Tensor]]:
        for window, batch, output, jacobian in rows.jacobians(task, objective.theta, examples, BATCH):
            waiting.append((batch, output.double()))
            yield window, jacobian.flatten(0, 1)

    for down in projection.down(flat()):
        batch, output = waiting.pop()
        sketched = down.reshape(len(batch), -1, projection.dimension)
        root = task.curvature_root(output, batch.to(torch.float64, output.device))
        slope = rows.output_gradient(task, output, batch, "loss").reshape(len(batch), 1, -1)
        yield (root.transpose(1, 2) @ sketched).cpu(), (slope @ sketched)[:, 0].cpu()


def _gram(objective: Objective, projection: Projection, shard: Examples) -> Tensor:
    total = torch.zeros(projection.dimension, projection.dimension, dtype=torch.float64)
    for u, _ in _sketched(objective, projection, shard):
        flat = u.flatten(0, 1)
        total += flat.T @ flat
    return total


def _distances(
    objective: Objective, projection: Projection, state: State, mean: Tensor, shard: Examples
) -> tuple[Tensor, dict[str, Any]]:
    """D [example] of a shard, and the certificate of its solves."""
    distances, reports = [], []
    for u, gradient in _sketched(objective, projection, shard):
        count, rank, size = u.shape
        pull = gradient - mean
        solution = Dense().solve(Matrix(state.tensors["matrix"]), state, torch.cat([u.reshape(-1, size), pull]).T)
        reports.append(certificate(Dense().name, solution))
        solved, plain = (
            solution.value[:, : count * rank].T.reshape(count, rank, size),
            solution.value[:, count * rank :].T,
        )
        leverage = u @ solved.transpose(1, 2)
        eye = torch.eye(rank, dtype=torch.float64)
        more = torch.linalg.solve(eye - leverage, u @ plain[:, :, None])
        step = plain + (solved.transpose(1, 2) @ more)[:, :, 0]
        pushed = pull + (u.transpose(1, 2) @ more)[:, :, 0]
        distances.append((step * pushed).sum(1) / len(objective.theta))
    return torch.cat(distances), joined(reports)

"""SGD-influence (Hara, Nitanda and Maehara, NeurIPS 2019): what a recorded run would have come to without an example.

A run steps θ_{t+1} = θ_t − η_t ∇F_t(θ_t) through batches. Without example i the steps whose batch holds it change by
η_t d_t(i), and each later step carries that on by its Hessian, so to first order (section 3)

    θ_T without i − θ_T ≈ Σ_{t: i ∈ batch t} (Π_{s>t} (I − η_s ∇²F_s(θ_s))) η_t d_t(i)

and for a query one pass backwards serves all examples: with u = ∇m_q(θ_T), from the last step to the first,

    score[q, i] += u·η_t d_t(i) for all i of the batch,    u ← u − η_t ∇²F_t(θ_t) u

d_t(i) = (∇ℓ_i − mean of the batch)/(b − 1) for a mean objective, where the batch's mean is over those that stay, as in
``whence.retraining``; for a batch of one the whole gradient. For a sum objective d_t(i) = (n/b)∇ℓ_i: the example's
contribution is left out and nothing else changes, which is the paper's counterfactual. This is the effect on this run,
with its batches and its length, converged or not; it predicts retraining with the same seed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.saved import plain
from whence.curvature.hessian import Hessian
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.retraining.sgd import Recording


@final
@dataclass(frozen=True)
class SGDInfluence(AbstractAttributor):
    """``recording``: what ``SGD(...).record(objective)`` returned; the model must be the one it ended with.

    A call takes, for every recorded step, the gradients of its batch and a Hessian-vector product over it for each
    query. Raises ValueError, when fitted, if the run ended at other parameters, KeyError if it saw examples that are
    not in the training set.
    """

    recording: Recording

    @property
    def name(self) -> str:
        return "SGD-influence"

    @property
    def options(self) -> dict[str, Any]:
        """What was recorded, as a fingerprint: the run itself may be long."""
        run = self.recording
        words = repr((run.rates, [ids.tolist() for ids in run.ids], run.every)).encode()
        return {"steps": run.steps, "run": hashlib.sha256(words).hexdigest()[:16], "thetas": plain(run.thetas)}

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        run, theta = self.recording, objective.theta
        end = run.end.to(theta)
        if end.shape != theta.shape or not torch.allclose(end, theta, rtol=1e-5, atol=1e-7):
            raise ValueError("the recorded run ended at other parameters than the model's: load its end into the model")
        for ids in run.ids:
            objective.train.positions(ids)
        return Prepared(notes={"steps": run.steps, "batch": len(run.ids[0])})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        run = self.recording
        there = objective.at(run.end.to(objective.theta))
        asked = [piece for _, piece in rows.gradient_rows(there.task, there.theta, queries, "measure")]
        u = torch.cat(asked).T
        found = torch.zeros(objective.count, len(queries), dtype=torch.float64)
        way = rows.way_for(objective.task, objective.theta, objective.train)
        for step, theta in run.backwards(objective):
            positions = np.sort(objective.train.positions(run.ids[step]))
            batch = objective.over(objective.train[positions]).at(theta)
            pieces = rows.gradient_rows(batch.task, theta, batch.train, way=way)
            own = torch.cat([piece for _, piece in pieces])
            found[torch.from_numpy(positions)] += run.rates[step] * (self._pulls(objective, own) @ u).double().cpu()
            u = u - run.rates[step] * self._curved(objective, batch, u)
        return Scored(found.T, solver_report())

    def _pulls(self, objective: Objective, own: Tensor) -> Tensor:
        """d_t of the examples of a batch [batch, parameter] from their gradients."""
        if not objective.mean:
            return objective.count / len(own) * own
        return own if len(own) == 1 else (own - own.mean(0)) / (len(own) - 1)

    def _curved(self, objective: Objective, batch: Objective, u: Tensor) -> Tensor:
        """∇²F_t u for the columns of u."""
        curved = Hessian(batch).matmat(u)
        if objective.mean:
            return curved
        penalty = objective.decay[:, None] * u
        return objective.count / batch.count * (curved - penalty) + penalty

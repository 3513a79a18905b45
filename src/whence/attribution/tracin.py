"""TracIn (Pruthi, Liu, Kale and Sundararajan, NeurIPS 2020): what gradient steps on an example did to a query.

    score[q, i] = Σ_c η_c · ∇m_q(θ_c)·∇ℓ_i(θ_c)                         TracInCP, section 3.3
    score[q, i] = Σ_c η_c · T_c · w · ∇m_q(θ_c)·∇ℓ_i(θ_c)               if checkpoint c stands for T_c steps

A step of gradient descent on ℓ_i at rate η moves the measurement by −η ∇m_q·∇ℓ_i to first order (section 3.2), so the
score is what would be missing without it: positive = helpful. The first form is one step on the example at every
checkpoint; its scale is that of the number of checkpoints. The second is the effect of the example's share of the
recorded steps, w = 1/n of each for a mean objective (a minibatch of b takes it in with chance b/n and weight 1/b) and
w = 1 for a sum. Later steps are taken as they were: how the training would have answered to the example's absence is
left out, so neither is the effect of a refit, and the penalty, which no example brings, is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import torch

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.checkpoints import Checkpoint, as_checkpoints, at
from whence.examples import Examples
from whence.gradients import products, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class TracIn(AbstractAttributor):
    """``checkpoints``: :class:`whence.Checkpoint` s, pairs (parameters, learning rate), or parameters (at rate 1).

    Where all checkpoints have ``steps``, scores are in loss units for the recorded steps; else for one step on the
    example at each checkpoint. ``whence.retraining.pieces.passed`` lists the checkpoints of a training in pieces, and
    ``SGD(...).record(...).passed()`` those of a recorded run, with their steps.
    Rates are those of plain gradient descent: Adam does not step along the gradient, so its rates weigh checkpoints
    against one another and no more. What captum's TracInCPFast gives is TracIn of the last layer's weight
    alone: ``Classification(net, only=["fc.weight"])``.

    Raises ValueError for no checkpoints or another model's (when fitted).
    """

    checkpoints: Iterable[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "checkpoints", as_checkpoints(self.checkpoints))

    @property
    def name(self) -> str:
        return "TracIn"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        steps = "the recorded steps" if self._stands_for_steps else "one step at each checkpoint"
        return f"{task.quantity} without {steps} on the example (first order)", task.measured_unit

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        for checkpoint in self._listed:
            at(objective, checkpoint)  # a checkpoint of another model is refused when the method is fitted
        return Prepared(notes={"checkpoints": len(self._listed)})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        total = torch.zeros(len(queries), objective.count, dtype=torch.float64)
        plan: products.Plan | None = None
        for checkpoint in self._listed:
            there = at(objective, checkpoint)
            task, theta = there.task, there.theta
            asked = torch.cat([piece for _, piece in rows.gradient_rows(task, theta, queries, "measure")])
            plan = plan or products.plan_products(task, theta, there.train, len(queries), there.batch_size)
            found = products.products_of_all(task, theta, there.train, asked.T, plan, mapper)
            total += self._weight(objective, checkpoint) * found.cpu().T
        return Scored(total, solver_report(), notes={"gradient_mode": plan.mode if plan else None})

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        total = torch.zeros(objective.count, dtype=torch.float64)
        for checkpoint in self._listed:
            there = at(objective, checkpoint)
            both = (rows.gradient_rows(there.task, there.theta, there.train, of) for of in ("loss", "measure"))
            for (window, own), (_, asked) in zip(*both, strict=True):
                total[window] += self._weight(objective, checkpoint) * (own.double() * asked.double()).sum(1).cpu()
        return Scored(total, solver_report())

    @property
    def _listed(self) -> tuple[Checkpoint, ...]:
        return tuple(self.checkpoints)

    @property
    def _stands_for_steps(self) -> bool:
        return self._listed[0].steps is not None

    def _weight(self, objective: Objective, checkpoint: Checkpoint) -> float:
        steps = 1.0 if checkpoint.steps is None else checkpoint.steps * objective.weight
        return checkpoint.learning_rate * steps

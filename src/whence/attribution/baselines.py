"""What any method must beat: chance, the training loss, the gradient's size, and gradients without curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.examples import Examples
from whence.gradients import functional, products, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class Random(AbstractAttributor):
    """Standard normal scores, drawn anew for each (query id, training id) pair, whatever their order."""

    seed: int = 0

    @property
    def name(self) -> str:
        return "random"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "random number", "none"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        return Prepared()

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        drawn = [[_normal(self.seed, q, i) for i in objective.train.ids.tolist()] for q in queries.ids.tolist()]
        return Scored(torch.tensor(drawn, dtype=torch.float64), solver_report())

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        drawn = [_normal(self.seed, i, i) for i in objective.train.ids.tolist()]
        return Scored(torch.tensor(drawn, dtype=torch.float64), solver_report())


@final
@dataclass(frozen=True)
class Loss(AbstractAttributor):
    """The training loss of the example, the same for every query: the baseline for finding wrong labels."""

    @property
    def name(self) -> str:
        return "loss"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "training loss", task.unit

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        return Prepared({"losses": functional.evaluate(objective.task, objective.theta, objective.train)})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["losses"].repeat(len(queries), 1), solver_report())


@final
@dataclass(frozen=True)
class GradientNorm(AbstractAttributor):
    """‖∇ℓ_i‖, the same for every query (as in Paul et al. 2021, "Deep learning on a data diet": GraNd)."""

    @property
    def name(self) -> str:
        return "gradient norm"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "gradient norm", "loss per parameter unit"

    @property
    def by_gradients(self) -> bool:
        return True

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        pieces = rows.gradient_rows(objective.task, objective.theta, objective.train)
        return Prepared({"norms": torch.cat([piece.norm(dim=1) for _, piece in pieces])})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return Scored(prepared.tensors["norms"].repeat(len(queries), 1), solver_report())


@final
@dataclass(frozen=True)
class GradientDot(AbstractAttributor):
    """∇m_q · ∇ℓ_i: influence with identity curvature (TracIn with one checkpoint at rate 1; Pruthi et al. 2020)."""

    @property
    def name(self) -> str:
        return "gradient dot product"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "gradient dot product", "squared loss per squared parameter unit"

    @property
    def by_gradients(self) -> bool:
        return True

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        return Prepared()

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        task, theta = objective.task, objective.theta
        asked = torch.cat([piece for _, piece in rows.gradient_rows(task, theta, queries, "measure")])
        plan = products.plan_products(task, theta, objective.train, len(queries), objective.batch_size)
        found = products.products_of_all(task, theta, objective.train, asked.T, plan, mapper)
        return Scored(found.T, solver_report(), notes={"gradient_mode": plan.mode})


def _normal(seed: int, query: object, train: object) -> float:
    words = [seed, *repr((query, train)).encode()]
    return float(np.random.default_rng(np.random.SeedSequence(words)).standard_normal())

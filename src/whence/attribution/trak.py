"""TRAK (Park, Georgiev, Ilyas, Leclerc and Madry, ICML 2023): influence in a randomly projected kernel of gradients.

    score[q, i] = (1/M Σ_m φ_m(q)ᵀ (Φ_mᵀΦ_m + n·ridge·I)⁻¹ φ_m(i)) · (1/M Σ_m Q_m(i))          section 3

over M checkpoints, each with a projection P_m of its own, φ_m(z) = P_mᵀ∇f(z; θ_m), and Φ_m [n, dimension] of all
training examples. f is the output function: for classes the margin log p/(1 − p) of the label, of which the loss is
log(1 + exp(−f)), so Q = −∂ℓ/∂f = 1 − p; for regression the prediction, with Q = −∂ℓ/∂f. Then the soft threshold of
their fifth step: scores are drawn towards 0 by ``threshold``.

It is one Newton step of a regression on the projected gradients, of which the weights p(1 − p) are left out: no change
of the measurement, compare it by rank. For a query's loss φ(q) is that of its margin, as in the paper (the loss falls
with it); for any other measurement it is that of the measurement, and the sign is that of a removal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.certificate import certificate, joined
from whence.attribution.checkpoints import as_checkpoints, at
from whence.attribution.projection import Kind, Projection, check_projection, factorised
from whence.batch import Batch
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.gradients import products, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.solvers.dense import Dense
from whence.solvers.solver import Solution, State
from whence.task import AbstractTask
from whence.tasks import Classification, Regression


@final
@dataclass(frozen=True)
class TRAK(AbstractAttributor):
    """``dimension``: of the projection; well below the number of parameters and of training examples.

    ``checkpoints``: an ensemble of trained models as TracIn takes them (independently trained ones in the paper; their
    learning rates are not used); None: the model itself. ``projection``: ``"rademacher"`` or ``"gaussian"``.
    ``ridge``: added to ΦᵀΦ/n; without it a dimension near the number of parameters or examples gives a nearly singular
    matrix, of which is warned, or a singular one, which raises ValueError.
    ``keep_features``: whether Φ [n, dimension] is kept for later queries; without, no memory grows with n, and each
    ``attribute`` takes a pass over the training set. The scores are the same.
    """

    dimension: int = 512
    checkpoints: Iterable[Any] | None = None
    projection: Kind = "rademacher"
    ridge: float = 0.0
    threshold: float = 0.0
    keep_features: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_projection(self.dimension, self.projection)
        if self.ridge < 0 or self.threshold < 0:
            raise ValueError(f"ridge and threshold must not be negative, not {self.ridge} and {self.threshold}")
        if self.checkpoints is not None:
            object.__setattr__(self, "checkpoints", as_checkpoints(self.checkpoints))

    @property
    def name(self) -> str:
        return "TRAK"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return "TRAK score", "none"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        tensors: dict[str, Tensor] = {}
        reports, slopes, conditions = [], torch.zeros(objective.count, dtype=torch.float64), []
        members = list(self._members(objective))
        for number, (there, projection) in enumerate(members):
            part = partial(_featured, there, projection, self.keep_features)
            found = mapper.concat(part, objective.train.shards(mapper.shards))
            gram = sum((one[0] for one in found), start=torch.zeros(self.dimension, self.dimension).double())
            sizes = (projection.size, objective.count)
            state = factorised(gram, objective.count * self.ridge, self.name, sizes)
            slopes += torch.cat([one[1] for one in found]) / len(members)
            tensors |= {f"{name} {number}": tensor for name, tensor in state.tensors.items()}
            if self.keep_features:
                tensors[f"features {number}"] = torch.cat([one[2] for one in found if one[2] is not None])
            conditions.append(state.notes["condition_number"])
            reports.append(
                solver_report(Dense().name, iterations=1, lambda_min=state.lambda_min, lambda_max=state.lambda_max)
            )
        tensors["slopes"] = slopes
        return Prepared(tensors, joined(reports), {"members": len(members), "condition_number": max(conditions)})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        total = torch.zeros(len(queries), objective.count, dtype=torch.float64)
        reports = []
        for number, (there, projection) in enumerate(self._members(objective)):
            asked = torch.cat(list(_projected(_asking(objective.task, there), projection, queries)))
            solution = _solve(prepared, number, asked.T)
            reports.append(certificate(Dense().name, solution))
            total += self._products(there, prepared, number, projection, solution.value, mapper)
        kernel = total / len(reports) * prepared.tensors["slopes"]
        return Scored(self._thresholded(kernel), joined([prepared.solver, *reports]))

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        total, reports = torch.zeros(objective.count, dtype=torch.float64), []
        members = list(self._members(objective))
        for number, (there, projection) in enumerate(members):
            own = _projected(there, projection, objective.train)
            start = 0
            for asked in _projected(_asking(objective.task, there), projection, objective.train):
                solution = _solve(prepared, number, asked.T)
                total[start : start + len(asked)] += (next(own) * solution.value.T).sum(1).cpu() / len(members)
                start += len(asked)
                reports.append(certificate(Dense().name, solution))
        return Scored(self._thresholded(total * prepared.tensors["slopes"]), joined([prepared.solver, *reports]))

    def _members(self, objective: Objective) -> Iterator[tuple[Objective, Projection]]:
        """The objective at each checkpoint, its measurement the output function, with the checkpoint's projection."""
        places = [objective] if self.checkpoints is None else (at(objective, one) for one in self.checkpoints)
        for number, there in enumerate(places):
            task = there.task.with_measure(output_function(there.task))
            seed = self.seed + 1_000_003 * number
            projection = Projection(len(there.theta), self.dimension, seed, self.projection)
            yield replace(there, task=task), projection

    def _products(
        self,
        there: Objective,
        prepared: Prepared,
        number: int,
        projection: Projection,
        solved: Tensor,
        mapper: AbstractMapper,
    ) -> Tensor:
        """φ(i)·v for all training examples [query, train] and the columns of ``solved`` [dimension, query]."""
        if self.keep_features:
            return (prepared.tensors[f"features {number}"].double() @ solved).T
        task, theta = there.task, there.theta
        directions = projection.up(solved.to(theta))
        plan = products.plan_products(task, theta, there.train, solved.shape[1], there.batch_size, "measure")
        return products.products_of_all(task, theta, there.train, directions, plan, mapper, "measure").cpu().T

    def _thresholded(self, scores: Tensor) -> Tensor:
        return scores.sign() * (scores.abs() - self.threshold).clamp(min=0)


def output_function(task: AbstractTask) -> Any:
    """f of the paper as a measurement; raises TypeError for a task of which none is known."""
    if isinstance(task, Classification):
        return margin
    if isinstance(task, Regression):
        return "prediction"
    raise TypeError(
        f"TRAK knows an output function for Classification and Regression with one output, not for {task.name}: "
        "use InfluenceFunction or GradientDot."
    )


def margin(output: Tensor, batch: Batch) -> Tensor:
    """log p/(1 − p) of the label [batch]: its logit less the logarithm of the others' summed exponentials."""
    target = batch.targets.long()[:, None]
    others = output.scatter(1, target, float("-inf"))
    return output.gather(1, target)[:, 0] - others.logsumexp(1)


def lost_margin(output: Tensor, batch: Batch) -> Tensor:
    """−f: it rises and falls with the loss."""
    return -margin(output, batch)


def _asking(asked: AbstractTask, there: Objective) -> Objective:
    """The member with what is asked of a query as its measurement: −f for the loss of a classification."""
    loss = asked.measure_kind == "loss" and isinstance(asked, Classification)
    task = there.task.with_measure(lost_margin if loss else asked.measure_kind)
    return replace(there, task=task)


def _projected(there: Objective, projection: Projection, examples: Examples) -> Iterator[Tensor]:
    yield from projection.down(rows.gradient_rows(there.task, there.theta, examples, "measure"))


def _featured(
    there: Objective, projection: Projection, keep: bool, shard: Examples
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(ΦᵀΦ, ∂ℓ/∂f [example], and Φ if it is kept, in the model's precision) of a shard."""
    gram, kept = torch.zeros(projection.dimension, projection.dimension, dtype=torch.float64), []
    for piece in _projected(there, projection, shard):
        gram += (piece.T @ piece).cpu()
        if keep:
            kept.append(piece.to(there.theta.dtype).cpu())
    return gram, _slopes(there, shard), torch.cat(kept) if keep else None


@torch.no_grad()
def _slopes(there: Objective, examples: Examples) -> Tensor:
    """∂ℓ/∂f of each example [n] in float64."""
    found = []
    for _, batch in examples.batches(1024):
        output = there.task.predict(there.theta, batch)
        value = there.task.measure(output, batch).double()
        regression = isinstance(there.task, Regression)
        found.append(2 * (value - batch.targets.to(value).reshape(-1)) if regression else -torch.sigmoid(-value))
    return torch.cat(found).cpu()


def _solve(prepared: Prepared, number: int, v: Tensor) -> Solution:
    tensors = {name: prepared.tensors[f"{name} {number}"] for name in ("factor", "matrix")}
    report = prepared.solver
    return Dense().solve(Matrix(tensors["matrix"]), State(tensors, report["lambda_min"], report["lambda_max"]), v.cpu())

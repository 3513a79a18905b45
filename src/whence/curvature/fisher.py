"""The empirical Fisher matrix w Σ_i ∇ℓ_i ∇ℓ_iᵀ + diag(λ): what gradients at the labels alone say of curvature.

It is not the Fisher matrix of the model, which averages over labels that the model itself would draw; near a minimum of
a well-fitted model the two can differ much (Kunstner, Balles and Hennig, NeurIPS 2019). TracIn with curvature, DataInf
and many second-order methods are built on it, since it costs one pass of per-example gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.ekfac import EKFAC
from whence.curvature.of_objective import AbstractCurvature
from whence.curvature.operator import AbstractOperator, Surrogate, serial
from whence.curvature.rank import gram
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask


@final
@dataclass(frozen=True, eq=False)
class EmpiricalFisher(AbstractCurvature):
    """Products from one pass of per-example gradients, whatever their number; the dense matrix for small models."""

    objective: Objective

    def matmat(self, v: Tensor) -> Tensor:
        o, v = self.objective, v.to(self.objective.theta)
        found = torch.zeros_like(v)
        for piece in _gradients(o.task, o.theta, self._way(), o.train):
            found += piece.T @ (piece @ v)
        return o.weight * found + o.decay[:, None] * v

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        o, mapper = self.objective, serial(mapper)
        part = partial(_gram, o.task, o.theta, self._way())
        return o.weight * mapper.sum(part, o.train.shards(mapper.shards)) + torch.diag(o.decay)  # type: ignore[no-any-return]

    def diagonal(self) -> Tensor:
        o = self.objective
        total = torch.zeros_like(o.theta)
        for piece in _gradients(o.task, o.theta, self._way(), o.train):
            total += piece.square().sum(0)
        return o.weight * total + o.decay

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        return EKFAC(self.objective, "empirical") if kind == "ekfac" else self

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return replace(self, objective=self.objective.sample(positions))

    def _way(self) -> rows.Way:
        o = self.objective
        return rows.way_for(o.task, o.theta, o.train)


def _gradients(task: AbstractTask, theta: Tensor, way: rows.Way, examples: Examples) -> Iterator[Tensor]:
    return (piece for _, piece in rows.gradient_rows(task, theta, examples, way=way))


def _gram(task: AbstractTask, theta: Tensor, way: rows.Way, examples: Examples) -> Tensor:
    return gram(_gradients(task, theta, way, examples), theta)

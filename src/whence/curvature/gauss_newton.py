"""The generalised Gauss-Newton matrix w Σ_i J_iᵀ A_i J_i + diag(λ) (Schraudolph 2002; Martens 2010).

J_i is the Jacobian of the output, A_i = R_i R_iᵀ the Hessian of the loss in the output. It is positive semi-definite
and equals the Hessian where the model is linear in its parameters.
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
from torch.func import jvp, vjp

from whence.curvature.ekfac import EKFAC
from whence.curvature.of_objective import AbstractCurvature
from whence.curvature.one_linear import linear_gram
from whence.curvature.operator import AbstractOperator, Surrogate, serial
from whence.curvature.output_gradients import OutputGradients, fisher_rows
from whence.curvature.rank import gram
from whence.curvature.sampled import SampledGaussNewton
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

ROWS_BATCH = 128


@final
@dataclass(frozen=True, eq=False)
class GaussNewton(AbstractCurvature):
    """Gauss-Newton products, and the dense matrix from per-layer Jacobians; penalty included."""

    objective: Objective

    def matmat(self, v: Tensor) -> Tensor:
        o = self.objective
        v = v.to(o.theta)
        found = torch.zeros_like(v)
        for _, batch in o.train.batches(o.batch_size):
            with torch.no_grad():
                output = o.task.predict(o.theta, batch)
            root = o.task.curvature_root(output, batch.to(output.dtype, output.device))

            def predict(point: Tensor, batch: object = batch) -> Tensor:
                return o.task.predict(point, batch)  # type: ignore[arg-type]

            pull = vjp(predict, o.theta)[1]
            for column in range(v.shape[1]):
                change = jvp(predict, (o.theta,), (v[:, column].contiguous(),))[1]
                flat = change.reshape(len(output), -1, 1)
                weighted = root @ (root.transpose(1, 2) @ flat)
                found[:, column] += pull(weighted.reshape(output.shape))[0]
        return o.weight * found + o.decay[:, None] * v

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        o, mapper = self.objective, serial(mapper)
        way = rows.way_for(o.task, o.theta, o.train)
        part = partial(_gram, o.task, o.theta, way)
        return o.weight * mapper.sum(part, o.train.shards(mapper.shards)) + torch.diag(o.decay)  # type: ignore[no-any-return]

    def diagonal(self) -> Tensor:
        o = self.objective
        way = rows.way_for(o.task, o.theta, o.train)
        total = torch.zeros_like(o.theta)
        for piece in curvature_rows(o.task, o.theta, o.train, way):
            total += piece.square().sum(0)
        return o.weight * total + o.decay

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        if kind == "ekfac":
            return EKFAC(self.objective)
        return SampledGaussNewton(self.objective) if kind == "sampled-gauss-newton" else self

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return replace(self, objective=self.objective.sample(positions))


def curvature_rows(task: AbstractTask, theta: Tensor, examples: Examples, way: rows.Way) -> Iterator[Tensor]:
    """Pieces of R_iᵀ J_i for all i and ranks [m, parameter]; the sum of their outer products is Σ J_iᵀ A_i J_i."""
    return fisher_rows(task, theta, examples, OutputGradients(), way, ROWS_BATCH)


def _gram(task: AbstractTask, theta: Tensor, way: rows.Way, examples: Examples) -> Tensor:
    closed = linear_gram(task, theta, examples)
    return gram(curvature_rows(task, theta, examples, way), theta) if closed is None else closed

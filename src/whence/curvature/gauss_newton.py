"""The generalised Gauss-Newton matrix w Σ_i J_iᵀ A_i J_i + diag(λ) (Schraudolph 2002; Martens 2010).

J_i is the Jacobian of the output, A_i = R_i R_iᵀ the Hessian of the loss in the output. It is positive semi-definite
and equals the Hessian where the model is linear in its parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import jvp, vjp

from whence.curvature.operator import AbstractOperator, serial
from whence.examples import Examples
from whence.gradients import layers, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

ROWS_BATCH = 128
GRAM_ROWS, GRAM_BLOCKS = 1024, 6


@final
@dataclass(frozen=True, eq=False)
class GaussNewton(AbstractOperator):
    """Gauss-Newton products, and the dense matrix from per-layer Jacobians; penalty included."""

    objective: Objective

    @property
    def size(self) -> int:
        return len(self.objective.theta)

    @property
    def dtype(self) -> torch.dtype:
        return self.objective.theta.dtype

    @property
    def examples(self) -> int:
        return self.objective.count

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

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        if not self.objective.mean:
            raise TypeError("sampling needs objective='mean'; a sum objective would need its own scale")
        return GaussNewton(self.objective.over(self.objective.train[positions]))


def curvature_rows(task: AbstractTask, theta: Tensor, examples: Examples, way: rows.Way) -> Iterator[Tensor]:
    """Pieces of R_iᵀ J_i for all i and ranks [m, parameter]; the sum of their outer products is Σ J_iᵀ A_i J_i."""
    if way == "layers":
        for _, batch in examples.batches(ROWS_BATCH):
            tape = layers.record(task, theta, batch)
            output = tape.output.detach()
            root = task.curvature_root(output, batch.to(output.dtype, output.device))
            for column in range(root.shape[2]):
                yield tape.pull(root[:, :, column].reshape(output.shape))
        return
    for _, batch, output, jacobian in rows.jacobians(task, theta, examples, ROWS_BATCH, way):
        root = task.curvature_root(output, batch.to(output.dtype, output.device))
        yield (root.transpose(1, 2) @ jacobian).reshape(-1, jacobian.shape[2])


def _gram(task: AbstractTask, theta: Tensor, way: rows.Way, examples: Examples) -> Tensor:
    """Σ JᵀAJ from the upper blocks alone, of many rows at once: matrix products are all that takes time here."""
    total = theta.new_zeros(len(theta), len(theta))
    edges = [round(len(theta) * k / GRAM_BLOCKS) for k in range(GRAM_BLOCKS + 1)]
    for piece in _stacked(curvature_rows(task, theta, examples, way)):
        for start, stop in itertools.pairwise(edges):
            total[start:stop, start:].addmm_(piece[:, start:stop].T, piece[:, start:])
    return torch.triu(total) + torch.triu(total, 1).T


def _stacked(pieces: Iterator[Tensor]) -> Iterator[Tensor]:
    """The same rows in fewer, larger pieces."""
    kept: list[Tensor] = []
    for piece in pieces:
        kept.append(piece)
        if sum(map(len, kept)) >= GRAM_ROWS:
            yield torch.cat(kept)
            kept = []
    if kept:
        yield torch.cat(kept)

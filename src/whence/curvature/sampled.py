"""The Gauss-Newton matrix from the examples that carry most of the curvature, as few rows.

    w Σ_i J_iᵀ A_i J_i  ≈  w Σ_{i drawn} (1/π_i) J_iᵀ A_i J_i  =  Uᵀ U,       + diag(λ), the penalty

A_i = R_i R_iᵀ is the Hessian of ℓ_i in the output, and the rows of U are those of √(w/π_i) R_iᵀ J_i. A trained
classifier predicts most examples with certainty, and their A_i is nearly 0. So examples are drawn by the trace t_i of
A_i, which a forward pass gives, with priority sampling (Duffield, Lund and Thorup, JACM 2007): with u_i uniform in
(0, 1), keep the ``count`` largest t_i/u_i and let τ be the next one; then 1/π_i = max(1, τ/t_i). The estimate is
unbiased, its size fixed, and examples of very large trace are always among them. u_i depends on the seed and the
example's id only. (That few rows suffice if they are drawn by their weight is Drineas et al., SIAM J. Comput. 2006.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.batch import Batch
from whence.curvature.draws import uniform
from whence.curvature.estimate import AbstractEstimate
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.rank import gram
from whence.curvature.structured import DenseBlocks, LowRank
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective

BATCH = 512
SMALL, A_PARAMETER = 5_000, 4
ROWS, NUMBERS = 2_048, 2**28
"""Up to 5,000 parameters four rows a parameter; above that 2,048 rows, or as many as 2²⁸ numbers are."""


@final
@dataclass(frozen=True, eq=False)
class SampledGaussNewton(AbstractEstimate):
    """``count``: how many examples are drawn. By default as many as give four rows a parameter where there are at most
    5,000 parameters, and else 2,048 rows, or fewer if they do not fit into a gibibyte.

    With at least as many rows as parameters it is held as a dense matrix.
    """

    objective: Objective
    count: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"count must be at least 1, not {self.count}")

    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        o = self.objective
        traces, rank = _traces(o)
        size = len(o.theta)
        count = max(1, round(_default_rows(size) / rank)) if self.count is None else self.count
        drawn, inverse = priority_sample(traces, uniform(o.train.ids, self.seed)[:, 0], count)
        scale = torch.from_numpy(np.sqrt(o.weight * inverse)).to(o.theta)
        pieces, decay = _rows(o, o.train[drawn], scale, rank), Diagonal(o.decay.double())
        if len(drawn) * rank < size:
            return LowRank(torch.cat(list(pieces))) + decay
        everything = torch.arange(size, device=o.theta.device)
        return DenseBlocks(size, (everything,), (gram(pieces, o.theta).double(),)) + decay


def _default_rows(size: int) -> int:
    return A_PARAMETER * size if size <= SMALL else min(ROWS, NUMBERS // size)


def priority_sample(
    sizes: npt.NDArray[np.float64], draws: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(positions in order, 1/π of each) of ``count`` examples drawn by their size; all of them if there are no more."""
    if count >= len(sizes):
        return np.arange(len(sizes)), np.ones(len(sizes))
    priorities = sizes / draws
    order = np.argsort(-priorities, kind="stable")
    drawn, threshold = np.sort(order[:count]), priorities[order[count]]
    own = sizes[drawn]
    # where all further examples have size 0, so has τ, and those drawn stand for themselves
    return drawn, np.maximum(1.0, np.divide(threshold, own, out=np.ones_like(own), where=own > 0))


@torch.no_grad()
def _traces(objective: Objective) -> tuple[npt.NDArray[np.float64], int]:
    """tr A_i for every example, and the rank of R."""
    task, found = objective.task, []
    for _, batch in objective.train.batches(BATCH):
        output = task.predict(objective.theta, batch)
        root = task.curvature_root(output, batch.to(output.dtype, output.device))
        found.append(root.square().sum((1, 2)).double().cpu().numpy())
    return np.concatenate(found), root.shape[2]


def _rows(objective: Objective, sample: Examples, scale: Tensor, rank: int) -> Iterator[Tensor]:
    task, theta = objective.task, objective.theta
    way = rows.way_for(task, theta, objective.train)

    def cotangents(window: slice, output: Tensor, batch: Batch) -> Iterator[Tensor]:
        root = task.curvature_root(output, batch.to(output.dtype, output.device))
        for column in range(rank):
            yield (scale[window, None] * root[:, :, column]).reshape(output.shape)

    return rows.rows_of_many(task, theta, sample, cotangents, way=way)

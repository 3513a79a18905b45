"""The diagonal of the Gauss-Newton or Fisher matrix: w Σ_i Σ_g (J_iᵀ g)² + λ, each parameter by itself.

The cheapest curvature there is (Becker and LeCun 1988); what it leaves out is that parameters make up for one another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.estimate import AbstractEstimate
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.output_gradients import Fisher, OutputGradients, fisher_rows
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask


@final
@dataclass(frozen=True, eq=False)
class DiagonalGaussNewton(AbstractEstimate):
    """``fisher``, ``samples`` and ``seed``: :mod:`whence.curvature.output_gradients`; exact by default."""

    objective: Objective
    fisher: Fisher = "exact"
    samples: int = 1
    seed: int = 0

    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        o = self.objective
        gradients = OutputGradients(self.fisher, self.samples, self.seed)
        part = partial(_squares, o.task, o.theta, gradients, rows.way_for(o.task, o.theta, o.train))
        total = mapper.sum(part, o.train.shards(mapper.shards))
        return Diagonal(o.weight * total + o.decay.double())

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return replace(self, objective=self.objective.sample(positions))


def _squares(
    task: AbstractTask, theta: Tensor, gradients: OutputGradients, way: rows.Way, examples: Examples
) -> Tensor:
    total = torch.zeros_like(theta, dtype=torch.float64)
    for piece in fisher_rows(task, theta, examples, gradients, way):
        total += piece.square().sum(0)
    return total

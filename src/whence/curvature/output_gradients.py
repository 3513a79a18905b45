"""Which output gradients a Fisher matrix averages: three choices of g with Σ g gᵀ taken per example.

    exact       g = the columns of R_i, R_i R_iᵀ the Hessian of ℓ_i in the output: nothing is drawn ("type 2")
    sampled     g = R_i z/√samples with z ~ N(0, I): the same in expectation (Monte-Carlo), one backward pass a sample
    empirical   g = ∂ℓ_i/∂output, the gradient at the label: not the Fisher matrix of the model (Kunstner et al. 2019)

For squared error R z is the gradient at a target that the model itself draws. For cross-entropy it has the mean and the
covariance of the gradient at a drawn label. Draws depend on the seed and the example's id only, not on order or batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

import numpy.typing as npt
import torch
from torch import Tensor

from whence.batch import Batch
from whence.curvature.draws import normal
from whence.examples import Examples
from whence.gradients import rows
from whence.task import AbstractTask

Fisher: TypeAlias = Literal["exact", "sampled", "empirical"]


@final
@dataclass(frozen=True)
class OutputGradients:
    """``kind``: see above; ``samples`` and ``seed``: of the sampled kind."""

    kind: Fisher = "exact"
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Fisher):
            raise ValueError(f"fisher must be one of {list(get_args(Fisher))}, not {self.kind!r}")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, not {self.samples}")

    def columns(self, task: AbstractTask, output: Tensor, batch: Batch, ids: npt.NDArray[Any]) -> Iterator[Tensor]:
        """The cotangents of a batch one after the other, each shaped as the output."""
        output = output.detach()
        if self.kind == "empirical":
            yield rows.output_gradient(task, output, batch, "loss")
            return
        root = task.curvature_root(output, batch.to(output.dtype, output.device))
        if self.kind == "sampled":
            drawn = normal(ids, self.seed, root.shape[2] * self.samples).reshape(len(ids), root.shape[2], self.samples)
            root = root @ torch.from_numpy(drawn).to(root) / self.samples**0.5
        for column in range(root.shape[2]):
            yield root[:, :, column].reshape(output.shape)


def fisher_rows(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    gradients: OutputGradients,
    way: rows.Way,
    batch_size: int = 128,
) -> Iterator[Tensor]:
    """J_iᵀ g for all examples and all their output gradients, in pieces [m, parameter]."""

    def columns(window: slice, output: Tensor, batch: Batch) -> Iterator[Tensor]:
        return gradients.columns(task, output, batch, examples.ids[window])

    return rows.rows_of_many(task, theta, examples, columns, batch_size, way)

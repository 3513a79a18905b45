"""Gradients of many models of one architecture at once: the batch is shared, parameters and weights are stacked.

Refits of one seed see the same batches in the same order and differ in their example weights alone, so k models are
one ``vmap`` over parameters [k, parameter]. This is for a GPU, most of which a model of a few thousand parameters
leaves idle; a CPU has no idle parts, and there models one after the other are faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import vmap

from whence.batch import Batch
from whence.gradients import functional
from whence.objective import Objective


@dataclass(frozen=True)
class Stack:
    """Models over the training set of ``objective``, each with its own example ``weights`` [model, n]."""

    objective: Objective
    weights: Tensor

    def gradient(self, theta: Tensor, positions: npt.NDArray[np.int64]) -> Tensor:
        """The gradients [model, parameter] at ``theta`` [model, parameter] of the batch at ``positions``.

        Of the batch's weighted loss and the penalty, as for one model: over the batch's weights if the objective is a
        mean, scaled up to the training set if it is a sum; a batch without weight leaves the penalty alone.
        Raises RuntimeError if the models cannot be stacked, for want of memory or because ``vmap`` cannot take them.
        """
        batch = self.objective.train.take(positions).to(theta.dtype, theta.device)
        chosen = self.weights[:, torch.from_numpy(positions).to(self.weights.device)].to(theta)
        try:
            gradient = self._summed(theta, batch, chosen)
        except RuntimeError as error:
            raise RuntimeError(
                f"{len(theta)} models cannot be trained at once ({str(error).splitlines()[0]}): "
                "lower the refit's `together`; with together=1 any model can be trained."
            ) from error
        if self.objective.mean:
            total = chosen.sum(1)
            # no float(total): on a GPU that would wait for the device at every step
            factor = torch.where(total > 0, 1.0 / total, 0.0)[:, None]
        else:
            factor = torch.full_like(theta[:, :1], self.objective.count / len(positions))
        return factor * gradient + self._decay * theta

    @cached_property
    def _decay(self) -> Tensor:
        return self.objective.decay

    def _summed(self, theta: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """∇ Σ w_i ℓ_i of each model; the models do not meet, so one backward pass through the sum over all gives it."""
        point = theta.detach().requires_grad_(True)
        with torch.enable_grad():
            losses = vmap(lambda one: functional.values(self.objective.task, one, batch, "loss"))(point)
            (gradient,) = torch.autograd.grad((losses * weights).sum(), point)
        return gradient

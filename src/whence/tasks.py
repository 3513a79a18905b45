"""The tasks: classification, regression, and a loss of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import hessian, vmap

from whence.batch import Batch
from whence.task import AbstractTask


@final
class Classification(AbstractTask):
    """Cross-entropy in nats over outputs [batch, class]; targets are class numbers [batch].

    Measures: ``"loss"``; ``"margin"`` (logit of the label minus the largest other logit);
    ``"log_probability"`` (of the label).
    """

    name = "classification"
    unit = "nats"
    measures = ("loss", "margin", "log_probability")
    output_only = True

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(output, batch.targets.long(), reduction="none")

    def named_measure(self, name: str, output: Tensor, batch: Batch) -> Tensor:
        target = batch.targets.long()[:, None]
        if name == "log_probability":
            return output.log_softmax(1).gather(1, target)[:, 0]
        others = output.scatter(1, target, float("-inf"))
        return output.gather(1, target)[:, 0] - others.amax(1)

    def curvature_root(self, output: Tensor, batch: Batch) -> Tensor:
        """diag(p) − p pᵀ = R Rᵀ with column c of R equal to √p_c·(e_c − p)."""
        p = output.softmax(1)
        return (torch.eye(p.shape[1], dtype=p.dtype, device=p.device) - p[:, :, None]) * p.sqrt()[:, None, :]

    def prediction(self, output: Tensor) -> npt.NDArray[np.generic]:
        return output.argmax(1).cpu().numpy()

    def check(self, output: Tensor, batch: Batch) -> None:
        if output.ndim != 2 or output.shape[0] != len(batch) or output.shape[1] < 2:
            raise ValueError(
                f"the model's output has shape {tuple(output.shape)} for {len(batch)} examples; cross-entropy needs "
                "[batch, class] with two classes or more. For one output a class pair, use CustomTask with your loss."
            )
        targets = batch.targets
        if targets.is_floating_point() or targets.dtype == torch.bool or targets.ndim != 1:
            raise ValueError(
                f"labels are {targets.dtype} of shape {tuple(targets.shape)}; they must be class numbers [n] of an "
                "integer type. For one-hot or float labels use y.argmax(1) or y.astype('int64')."
            )
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= output.shape[1]:
            raise ValueError(
                f"labels run from {low} to {high}, but the model has the classes 0 to {output.shape[1] - 1}: "
                "renumber the labels or check which model this is."
            )


@final
class Regression(AbstractTask):
    """Squared error, averaged over the outputs of an example as ``torch.nn.MSELoss`` does (no factor ½).

    Outputs and targets [batch] or [batch, output]. Measures: ``"loss"``; ``"prediction"`` (one output only).
    """

    name = "regression"
    unit = "squared target units"
    measures = ("loss", "prediction")
    output_only = True

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return (output.reshape(len(batch), -1) - batch.targets.reshape(len(batch), -1)).square().mean(1)

    def named_measure(self, name: str, output: Tensor, batch: Batch) -> Tensor:
        values = output.reshape(len(batch), -1)
        if values.shape[1] != 1:
            raise ValueError(f"the measure 'prediction' needs one output, not {values.shape[1]}: give a function.")
        return values[:, 0]

    def curvature_root(self, output: Tensor, batch: Batch) -> Tensor:
        """The Hessian of the mean of k squares is (2/k)·I."""
        k = output.reshape(len(batch), -1).shape[1]
        root = torch.eye(k, dtype=output.dtype, device=output.device) * math.sqrt(2.0 / k)
        return root.expand(len(batch), k, k)

    def prediction(self, output: Tensor) -> npt.NDArray[np.generic]:
        return output.reshape(len(output), -1)[:, 0].detach().cpu().numpy()

    def check(self, output: Tensor, batch: Batch) -> None:
        count = len(batch)
        shapes = f"output {tuple(output.shape)}, targets {tuple(batch.targets.shape)}"
        if output.shape[:1] != (count,) or output.numel() != batch.targets.numel():
            raise ValueError(f"{shapes}: squared error needs one target for each output: reshape the targets.")
        if batch.targets.dtype == torch.bool or not bool(torch.isfinite(batch.targets).all()):
            raise ValueError("targets must be finite numbers; remove or repair the rows with NaN or infinity.")


@final
class CustomTask(AbstractTask):
    """A loss of one's own: ``loss_fn(output, batch) -> [batch]``, convex in the output for Gauss-Newton curvature."""

    name = "custom"
    unit = "loss"
    measures = ("loss",)

    def __init__(self, module: nn.Module, loss_fn: Callable[[Tensor, Batch], Tensor], **options: Any) -> None:
        super().__init__(module, **options)
        self.loss_fn = loss_fn

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return self.loss_fn(output, batch)

    def named_measure(self, name: str, output: Tensor, batch: Batch) -> Tensor:
        raise ValueError(f"a custom task knows only the measure 'loss', not {name!r}: give a function.")

    def curvature_root(self, output: Tensor, batch: Batch) -> Tensor:
        def one(value: Tensor, target: Tensor) -> Tensor:
            return self.loss_fn(value[None], Batch(None, target[None]))[0]

        size = output[0].numel()
        curvature = vmap(hessian(one))(output, batch.targets).reshape(len(batch), size, size)
        values, vectors = torch.linalg.eigh(curvature)
        root: Tensor = vectors * values.clamp(min=0).sqrt()[:, None, :]
        return root

    def prediction(self, output: Tensor) -> npt.NDArray[np.generic]:
        flat = output.detach().reshape(len(output), -1)
        return (flat.argmax(1) if flat.shape[1] > 1 else flat[:, 0]).cpu().numpy()

    def check(self, output: Tensor, batch: Batch) -> None:
        value = self.loss_fn(output, batch)
        if value.shape != (len(batch),):
            raise ValueError(
                f"loss_fn returned shape {tuple(value.shape)} for {len(batch)} examples: "
                "it must return one number an example (reduction='none'), not a mean."
            )

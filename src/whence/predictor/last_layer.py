"""Gradients and curvature of a classifier's last dense layer, in closed form from one forward pass.

With p the probabilities, y the one-hot label and a the layer's input, the gradient of the cross-entropy in the weights
and the bias is (p − y) ⊗ (a, 1), and the Gauss-Newton matrix, which for this layer is its block of the Hessian, is
the mean of (diag p − p pᵀ) ⊗ (a, 1)(a, 1)ᵀ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whence.examples import Examples
from whence.gradients.watch import gathered
from whence.task import AbstractTask

# Rows of gradients that are built at once.
ROWS = 4096


@dataclass(frozen=True)
class Passed:
    """What one forward pass shows of n examples.

    ``inputs`` [n, a]: what enters the last layer, followed by a 1 if the layer has a bias; ``logits`` and ``residual``
    p − y [n, class]; ``labels`` [n]; ``loss`` [n] in nats. In float64.
    """

    inputs: Tensor
    logits: Tensor
    residual: Tensor
    labels: Tensor
    loss: Tensor

    @property
    def probabilities(self) -> Tensor:
        return self.logits.softmax(1)

    @property
    def predictions(self) -> Tensor:
        return self.logits.argmax(1)

    @property
    def margin(self) -> Tensor:
        """Logit of the label minus the largest other one [n]."""
        own = self.labels[:, None]
        return self.logits.gather(1, own)[:, 0] - self.logits.scatter(1, own, -math.inf).amax(1)

    def gradients(self) -> Tensor:
        """∇ℓ in the last layer [n, class · a], class by class."""
        return (self.residual[:, :, None] * self.inputs[:, None, :]).flatten(1)


@torch.no_grad()
def forward(task: AbstractTask, examples: Examples) -> Passed:
    """Pass examples through the task's module once.

    Raises ValueError if the task is no classification, there are no examples, or the module does not end in a dense
    layer whose output is the logits.
    """
    if task.name != "classification" or len(examples) == 0:
        raise ValueError(f"{len(examples)} examples of a {task.name}: the predictor needs a classification, and some.")
    name, layer = last_dense(task)
    found = gathered(task, task.parameters(), name, examples)
    if found is None or not _put_out(layer, *found):
        raise ValueError("the model's last dense layer does not put out its logits: end the model in one nn.Linear.")
    inputs, logits = found
    if layer.bias is not None:
        inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], 1)
    labels = examples.targets().long()
    residual = logits.softmax(1) - nn.functional.one_hot(labels, logits.shape[1])
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    return Passed(inputs, logits, residual, labels, loss)


def _put_out(layer: nn.Linear, inputs: Tensor, logits: Tensor) -> bool:
    """Whether these logits are what the layer makes of its inputs, up to the model's precision."""
    own = nn.functional.linear(inputs, layer.weight.double(), None if layer.bias is None else layer.bias.double())
    return own.shape == logits.shape and torch.allclose(own, logits, rtol=1e-3, atol=1e-4)


def last_dense(task: AbstractTask) -> tuple[str, nn.Linear]:
    """The name and the module of the last ``nn.Linear``; raises ValueError if there is none."""
    dense = [(name, module) for name, module in task.module.named_modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise ValueError(
            "the model has no nn.Linear: the predictor's kernels need a dense layer that gives the logits."
        )
    return dense[-1]


def gauss_newton(task: AbstractTask, whole: Passed, damping: float) -> Tensor:
    """The last layer's Gauss-Newton matrix over ``whole``, with the task's penalty and δ·I: [class·a, class·a].

    Mean or sum over examples as the task's objective says. Raises ValueError for a negative damping or a last layer
    that is not among the parameters that the task studies.
    """
    if not damping >= 0:
        raise ValueError(f"damping must be 0 or more, not {damping}")
    p, classes, width = whole.probabilities, whole.logits.shape[1], whole.inputs.shape[1]
    matrix = whole.inputs.new_zeros(classes, width, classes, width)
    for start in range(0, len(p), ROWS):
        rows, share = whole.inputs[start : start + ROWS], p[start : start + ROWS]
        for c in range(classes):
            weight = -share[:, c, None] * share
            weight[:, c] += share[:, c]
            matrix[c] += torch.einsum("nd,na,nb->adb", weight, rows, rows)
    matrix = matrix.reshape(classes * width, -1)
    if task.objective == "mean":
        matrix = matrix / len(p)
    return matrix + torch.diag(_penalty(task, classes) + damping)


def _penalty(task: AbstractTask, classes: int) -> Tensor:
    """λ of the last layer [class · a], in the order of :meth:`Passed.gradients`."""
    name, layer = last_dense(task)
    prefix = f"{name}." if name else ""
    wanted = [prefix + "weight"] + ([prefix + "bias"] if layer.bias is not None else [])
    absent = [each for each in wanted if each not in task.layout.names]
    if absent:
        raise ValueError(f"the task does not study {absent}: leave `only` out, or name the last layer in it.")
    pieces = [task.coefficients[task.layout.slices[each]].reshape(classes, -1) for each in wanted]
    return torch.cat(pieces, 1).flatten()


def rms(values: np.ndarray[Any, Any], axis: int | None = None) -> np.ndarray[Any, Any]:
    """The root mean square along an axis, kept as a dimension; 1 where it is 0, so that one can divide by it."""
    size = np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=axis, keepdims=True))
    return np.where(size > 0, size, 1.0)

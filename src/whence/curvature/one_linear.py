"""Σ_i A_i ⊗ ãᵢãᵢᵀ: the Gauss-Newton matrix of a model that is one linear layer z = W·a + b, with ã = (a, 1).

J_i holds ã once an output, so J_iᵀ A_i J_i is a Kronecker product, and a product of matrices [input, example] an
output takes the place of a row an example and output. At such a model it is the Hessian too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whence.examples import Examples
from whence.gradients.tail import sole_layer
from whence.task import AbstractTask

NUMBERS = 2**22
"""How many numbers of weighted inputs are held at once."""


@torch.no_grad()
def linear_gram(task: AbstractTask, theta: Tensor, examples: Examples) -> Tensor | None:
    """Σ_i J_iᵀ A_i J_i [parameter, parameter]; None if the model is more than one linear layer over vectors."""
    layer = sole_layer(task)
    if layer is None:
        return None
    width, outputs = layer.in_features + 1, layer.out_features
    total = theta.new_zeros(outputs, width, outputs, width)
    for _, batch in examples.batches(max(1, NUMBERS // (outputs * width))):
        batch = batch.to(theta.dtype, theta.device)
        if not isinstance(batch.inputs, Tensor) or batch.inputs.ndim != 2:
            return None
        root = task.curvature_root(task.predict(theta, batch), batch)
        inner = root @ root.transpose(1, 2)
        entered = torch.cat([batch.inputs, batch.inputs.new_ones(len(batch), 1)], 1)
        for row in range(outputs):
            weighted = inner[:, row, row:, None] * entered[:, None, :]
            total[row, :, row:] += (entered.T @ weighted.flatten(1)).reshape(width, outputs - row, width)
    for row in range(1, outputs):
        for column in range(row):
            total[row, :, column] = total[column, :, row].T
    places = _places(task, width, outputs).to(theta.device)
    return total.reshape(outputs * width, outputs * width)[places][:, places]


def _places(task: AbstractTask, width: int, outputs: int) -> Tensor:
    """Where the studied parameters, in their order, lie in (output, input)."""
    grid = torch.arange(outputs * width).reshape(outputs, width)
    kinds = (name.rpartition(".")[2] for name in task.layout.names)
    return torch.cat([(grid[:, :-1] if kind == "weight" else grid[:, -1]).reshape(-1) for kind in kinds])

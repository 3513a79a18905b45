"""The linear map of logistic and linear regression."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["linear_model"]


def linear_model(inputs: int, outputs: int, bias: bool = True, dtype: torch.dtype = torch.float64) -> nn.Linear:
    """A zero-initialised linear layer: convex problems need no random start.

    Args:
        inputs: features an example.
        outputs: classes for softmax regression; 1 for linear regression or a single logit.
        bias: whether to add an intercept an output.
        dtype: of parameters, and hence of the inputs it accepts.

    Returns:
        A layer from ``[n, inputs]`` to ``[n, outputs]``; the global random generator is left alone.

    Raises:
        ValueError: ``inputs`` or ``outputs`` is below 1.

    Example:
        >>> linear_model(2, 1)(torch.ones(3, 2, dtype=torch.float64)).shape
        torch.Size([3, 1])
    """
    if min(inputs, outputs) < 1:
        raise ValueError(f"inputs is {inputs}, outputs {outputs}; both must be at least 1")
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta", dtype=dtype).to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer

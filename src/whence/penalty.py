"""The L2 penalty of an objective, ½·Σ λ_j θ_j²: which parameters it covers and how strongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer

from whence.parameters import Layout

WeightDecay: TypeAlias = float | Mapping[str, float] | Optimizer
COUPLED = (optim.SGD, optim.ASGD, optim.Adam, optim.NAdam, optim.RAdam, optim.Adamax, optim.Adagrad, optim.RMSprop)


def coefficients(module: nn.Module, layout: Layout, weight_decay: WeightDecay) -> Tensor:
    """λ [parameter] in float64.

    A number covers weights, that is parameters of two or more dimensions, and not biases or scales of norms;
    a dict covers what it names; an optimizer's param groups say it themselves.
    Raises ValueError for a negative or non-finite number, a number that covers nothing, an unknown name, a parameter
    that the optimizer does not hold, or an optimizer not known to add its decay to the gradient (AdamW): that is no
    term of the objective.
    """
    if isinstance(weight_decay, Optimizer):
        named = _from_optimizer(module, layout, weight_decay)
    elif isinstance(weight_decay, Mapping):
        unknown = sorted(set(weight_decay) - set(layout.names))
        if unknown:
            raise ValueError(f"weight_decay names {unknown[:5]}, no studied parameters: name some of {layout.names}")
        named = {name: float(weight_decay.get(name, 0.0)) for name in layout.names}
    else:
        if weight_decay and not any(parameter.ndim > 1 for parameter in module.parameters()):
            raise ValueError(
                f"weight_decay={weight_decay} covers parameters of two or more dimensions, and the model has none: "
                "name those that it covers, as in {'weight': 0.1}."
            )
        shapes = zip(layout.names, layout.shapes, strict=True)
        named = {name: float(weight_decay) if len(shape) > 1 else 0.0 for name, shape in shapes}
    for name, value in named.items():
        if not 0.0 <= value < float("inf"):
            raise ValueError(f"weight_decay is {value} for {name}: give a finite number of at least 0.")
    pieces = [
        torch.full((size,), named[name], dtype=torch.float64)
        for name, size in zip(layout.names, layout.sizes, strict=True)
    ]
    return torch.cat(pieces)


def _from_optimizer(module: nn.Module, layout: Layout, optimizer: Optimizer) -> dict[str, float]:
    by_identity = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    parameters = dict(module.named_parameters())
    named: dict[str, float] = {}
    for name in layout.names:
        group = by_identity.get(id(parameters[name]))
        if group is None:
            raise ValueError(f"the optimizer does not hold {name}: give the optimizer that trained this module")
        value = float(group.get("weight_decay", 0.0))
        coupled = type(optimizer) in COUPLED and not group.get("decoupled_weight_decay", False)
        if value and not coupled:
            raise ValueError(
                f"{type(optimizer).__name__} decays weights outside the loss (or is not known here), so its decay is "
                "no L2 penalty of the objective: pass weight_decay=0, or the number of a penalty within the loss."
            )
        named[name] = value
    return named

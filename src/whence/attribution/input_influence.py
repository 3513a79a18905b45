"""Influence of changing a training input (Koh and Liang, ICML 2017, section 2.2, Eq. 5): which of its pixels matter.

    ∂m_q/∂x_i = −w ∇_x (s_q·∇_θ ℓ(x_i, y_i; θ̂)),    s_q = (H + damping·I)⁻¹∇m_q,    w = 1/n (mean) or 1 (sum)

is how fast the query's measurement changes, after refitting, as the input x_i of a training example is changed and the
example stays: their I_pert,loss divided by n. Positive: raising this pixel of the training image raises the query's
loss. One solve a query, and one pass through the chosen examples that is differentiated twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from whence.attribution.explainer import Explainer
from whence.attribution.solved import solved
from whence.batch import Batch
from whence.gradients import functional
from whence.gradients.labels import labels_of
from whence.objective import Objective

BATCH = 256


def input_influence(explainer: Explainer, queries: Any, ids: Any) -> xr.DataArray:
    """∂m_q/∂x_i [query, train, ...input] for the training examples with these ids, by an ``InfluenceFunction``.

    The input's dimensions are called ``input_0``, ``input_1``, ...; ``whence.plots.input_influence`` draws images.
    Raises TypeError for the explainer of another method, KeyError for an id that is not in the training set, and
    ValueError where the inputs are not one tensor of real numbers.
    """
    o = explainer.objective
    chosen = o.train.select(np.atleast_1d(ids))
    inputs = chosen.take(slice(0, 1)).inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise ValueError("the inputs are not one tensor of real numbers, so there is no change of them to speak of")
    found = solved(explainer, queries, "input influence")
    pieces = [_pulled(o, batch, found.directions.to(o.theta)) for _, batch in chosen.batches(BATCH)]
    values = -o.weight * torch.cat(pieces, 1).double().cpu()
    attrs = {
        **found.attrs,
        "quantity": f"{found.attrs['quantity']} per unit of the training input",
        "unit": f"{found.attrs['unit']} per input unit",
        "sign": "positive = raising this part of the training input raises the measurement",
    }
    return xr.DataArray(
        values.numpy(),
        dims=("query", "train", *(f"input_{number}" for number in range(values.ndim - 2))),
        coords={**found.coords, **labels_of(o, chosen).coordinates("train")},
        name="input_influence",
        attrs=attrs,
    )


def _pulled(objective: Objective, batch: Batch, directions: Tensor) -> Tensor:
    """∇_x (s·∇_θ ℓ_i) for all examples of a batch and columns s of ``directions`` [query, batch, ...input]."""
    batch = batch.to(objective.theta.dtype, objective.theta.device)
    inputs = batch.inputs.detach().clone().requires_grad_(True)
    point = objective.theta.detach().requires_grad_(True)
    with torch.enable_grad():
        losses = functional.values(objective.task, point, Batch(inputs, batch.targets), "loss")
        (gradient,) = torch.autograd.grad(losses.sum(), point, create_graph=True)
        pulled = [
            torch.autograd.grad(gradient @ direction, inputs, retain_graph=True, materialize_grads=True)[0]
            for direction in directions.T
        ]
    return torch.stack(pulled)

"""Influence by the layers through which it goes: parts that sum to the whole.

    score[q, i] = Σ_part Σ_{j∈part} s_qj (∇ℓ_i − ∇L)_j/(n − 1),    s_q = (H + damping·I)⁻¹∇m_q

A part is what the example pulls at the parameters of one layer; s_q is solved over all of them, so what moving one
layer makes the others do is booked where the example pulled. (For a sum objective ∇L = 0 and the factor is 1.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from whence.attribution.explainer import Explainer
from whence.attribution.solved import solved
from whence.gradients import rows

By = Literal["module", "parameter"] | Callable[[str], str]


def breakdown(explainer: Explainer, queries: Any, by: By = "module") -> xr.DataArray:
    """Scores [query, train, part] of an ``InfluenceFunction`` by part of the model; over parts they sum to its scores.

    ``by``: ``"module"`` (the layer that owns a parameter), ``"parameter"``, or a function from a parameter's name to
    the name of its part. Takes a pass of per-example gradients, and memory for all parts. Raises TypeError for the
    explainer of another method, ValueError for another ``by``.
    """
    if not callable(by) and by not in ("module", "parameter"):
        raise ValueError(f"by must be 'module', 'parameter' or a function of a parameter's name, not {by!r}")
    found, o = solved(explainer, queries, "a breakdown"), explainer.objective
    named = {name: _part(name, by) for name in o.task.layout.names}
    parts = list(dict.fromkeys(named.values()))
    values = torch.zeros(o.count, len(parts), found.directions.shape[1], dtype=torch.float64)
    for window, piece in rows.gradient_rows(o.task, o.theta, o.train):
        for name, where in o.task.layout.slices.items():
            product = piece[:, where].double() @ found.directions[where]
            values[window, parts.index(named[name])] += product.cpu()
    if o.mean:
        values = values - values.mean(0)
    return xr.DataArray(
        (o.removal * values).permute(2, 0, 1).numpy(),
        dims=("query", "train", "part"),
        coords={**found.coords, **explainer.train_labels.coordinates("train"), "part": np.array(parts)},
        name="breakdown",
        attrs=found.attrs,
    )


def _part(name: str, by: By) -> str:
    if callable(by):
        return str(by(name))
    return name if by == "parameter" else name.rpartition(".")[0] or name

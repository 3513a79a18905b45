"""DataInf (Kwon et al., ICLR 2024): influence with the empirical Fisher matrix, mean and inverse exchanged.

    (1/n Σ_i g_i g_iᵀ + D)⁻¹  ≈  1/n Σ_i (g_i g_iᵀ + D)⁻¹ = D⁻¹ − 1/n Σ_i D⁻¹g_i g_iᵀD⁻¹/(1 + g_iᵀD⁻¹g_i)

layer by layer, their Eq. 5 with Sherman and Morrison's identity; D is damping δ_l and the penalty's λ. No matrix is
formed: fitting costs one pass of per-example gradients, scoring two. Their choice of damping is δ_l = 0.1 times the
mean of ‖g_{i,l}‖²/p_l over the examples (p_l parameters in the layer), which is the default.

The exchange holds where the g_i are small against D. Where they are not, as at most damping of interest, each example
discounts its own gradient only, and the answer is close to D⁻¹v, a gradient dot product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.examples import Examples
from whence.gradients import rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.parameters import Layout
from whence.results import solver_report
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class DataInf(AbstractAttributor):
    """``layer_damping``: δ for all layers, or ``"paper"``: a tenth of each layer's mean squared gradient entry."""

    layer_damping: float | Literal["paper"] = "paper"

    def __post_init__(self) -> None:
        if isinstance(self.layer_damping, str) and self.layer_damping != "paper":
            raise ValueError(f"layer_damping must be a number or 'paper', not {self.layer_damping!r}")
        if not isinstance(self.layer_damping, str) and not 0 < self.layer_damping < float("inf"):
            raise ValueError(
                f"layer_damping must be finite and positive, not {self.layer_damping}: DataInf divides by it"
            )

    @property
    def name(self) -> str:
        return "DataInf"

    @property
    def by_gradients(self) -> bool:
        return True

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        o, layers = objective, _layers(objective.task.layout)
        way = rows.way_for(o.task, o.theta, o.train)
        part = partial(_squared_norms, o.task, o.theta, layers, way)
        total = mapper.sum(part, o.train.shards(mapper.shards))
        if isinstance(self.layer_damping, str):
            sizes = torch.tensor([sum(where.stop - where.start for where in own) for own in layers.values()])
            found = 0.1 * total.cpu() / (o.count * sizes) * (1 if o.mean else o.count)
        else:
            found = torch.full((len(layers),), self.layer_damping, dtype=torch.float64)
        named = dict(zip(layers, found.tolist(), strict=True))
        idle = [layer for layer, value in named.items() if value <= 0]
        if idle:
            raise ValueError(
                f"all gradients are 0 in {idle[:5]}: give layer_damping a number, or leave these out with only=[...]."
            )
        diagonal = o.decay.double().clone()
        for layer, places in layers.items():
            for where in places:
                diagonal[where] += named[layer]
        return Prepared({"diagonal": diagonal}, notes={"layer_damping": named})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        o = objective
        asked = torch.cat([piece for _, piece in rows.gradient_rows(o.task, o.theta, queries, "measure")]).double()
        solved = self._inverse(objective, prepared, asked.T, mapper)
        part = partial(_products, o.task, o.theta, solved)
        found = torch.cat(mapper.concat(part, o.train.shards(mapper.shards)))
        if o.mean:
            found = found - found.mean(0)
        return Scored(o.removal * found.T, solver_report())

    def _inverse(self, objective: Objective, prepared: Prepared, v: Tensor, mapper: AbstractMapper) -> Tensor:
        """The formula above for the columns of v [parameter, k]: one pass over the training set."""
        o, layers = objective, _layers(objective.task.layout)
        divided = v / prepared.tensors["diagonal"][:, None]
        way = rows.way_for(o.task, o.theta, o.train)
        scale = 1.0 if o.mean else float(o.count)
        part = partial(_discounts, o.task, o.theta, layers, way, divided, prepared.tensors["diagonal"], scale)
        total: Tensor = mapper.sum(part, o.train.shards(mapper.shards))
        return divided - total / (o.count * prepared.tensors["diagonal"][:, None])


def _layers(layout: Layout) -> dict[str, list[slice]]:
    """Where the parameters of each module lie."""
    found: dict[str, list[slice]] = {}
    for name, where in layout.slices.items():
        found.setdefault(name.rpartition(".")[0] or "the model itself", []).append(where)
    return found


def _gradients(task: AbstractTask, theta: Tensor, way: rows.Way, examples: Examples) -> Iterator[Tensor]:
    return (piece.double() for _, piece in rows.gradient_rows(task, theta, examples, way=way))


def _squared_norms(
    task: AbstractTask, theta: Tensor, layers: dict[str, list[slice]], way: rows.Way, examples: Examples
) -> Tensor:
    """Σ_i ‖g_{i,l}‖² [layer]."""
    total = torch.zeros(len(layers), dtype=torch.float64, device=theta.device)
    for piece in _gradients(task, theta, way, examples):
        squares = piece.square().sum(0)
        total += torch.stack([torch.cat([squares[where] for where in own]).sum() for own in layers.values()])
    return total


def _discounts(
    task: AbstractTask,
    theta: Tensor,
    layers: dict[str, list[slice]],
    way: rows.Way,
    divided: Tensor,
    diagonal: Tensor,
    scale: float,
    examples: Examples,
) -> Tensor:
    """Σ_i s·g_i (g_iᵀD⁻¹v)/(1 + s·g_iᵀD⁻¹g_i) layer by layer [parameter, k], s the number of terms of a sum."""
    total = torch.zeros_like(divided)
    for piece in _gradients(task, theta, way, examples):
        for own in layers.values():
            where = torch.cat([torch.arange(one.start, one.stop) for one in own]).to(piece.device)
            g = piece[:, where]
            leverage = 1.0 + scale * (g.square() / diagonal[where]).sum(1, keepdim=True)
            total[where] += g.T @ (scale * (g @ divided[where]) / leverage)
    return total


def _products(task: AbstractTask, theta: Tensor, solved: Tensor, examples: Examples) -> Tensor:
    way = rows.way_for(task, theta, examples)
    return torch.cat([piece @ solved for piece in _gradients(task, theta, way, examples)])

"""Gradients of linear, convolutional and embedding layers projected on both sides, without being formed.

    φ = vec Σ_t (Q_oᵀ g_t)(Q_iᵀ a_t)ᵀ,    Q_i [input, rank], Q_o [output, rank] with orthonormal columns

for a layer z = W a whose gradient is Σ_t g_t a_tᵀ over positions t; a bias counts as one more input, 1 (Choe, Ahn, Bae
et al. 2024, Eq. 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from whence.batch import Batch
from whence.curvature.kronecker import Site, Sites, bases, entered, factor_sums, returned
from whence.curvature.output_gradients import OutputGradients
from whence.examples import Examples
from whence.gradients import layers, rows
from whence.gradients.functional import Of
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

Pair: TypeAlias = tuple[Tensor, Tensor]
"""(Q_i, Q_o) of a layer in float64."""


def principal(objective: Objective, sites: Sites, rank: int, mapper: AbstractMapper) -> list[Pair]:
    """The directions of most variance of what enters and of what comes back: the factors of KFAC."""
    sums = factor_sums(objective, sites, OutputGradients("empirical"), "joint", mapper)
    found = {site.prefix: block for site, block in bases(objective, sites, sums, "joint")}
    pairs = []
    for site in sites.layers:
        block = found[site.prefix]
        # an embedding's inputs are unit vectors: those that are looked up most
        own = block.inputs if len(block.inputs) else _most(block.values.sum(0), _sizes(objective, site)[0])
        pairs.append((_last(own, rank), _last(block.outputs, rank)))
    return pairs


def random(objective: Objective, sites: Sites, rank: int, seed: int) -> list[Pair]:
    """Directions drawn at random."""
    sizes = [_sizes(objective, site) for site in sites.layers]
    return [
        (_random(inputs, rank, (seed, k, 0)), _random(outputs, rank, (seed, k, 1)))
        for k, (inputs, outputs) in enumerate(sizes)
    ]


def _sizes(objective: Objective, site: Site) -> tuple[int, int]:
    """(inputs, outputs) of a layer, a bias as one more input."""
    shapes = dict(zip(objective.task.layout.names, objective.task.layout.shapes, strict=True))
    name = f"{site.prefix}." if site.prefix else ""
    if not site.weight[1]:
        return 1, shapes[f"{name}bias"].numel()
    shape = shapes[f"{name}weight"]
    rest = shape.numel() // shape[0]
    return (shape[0], rest) if site.embedding else (rest + (1 if site.both else 0), shape[0])


def _random(size: int, rank: int, words: tuple[int, ...]) -> Tensor:
    if rank >= size:
        return torch.eye(size, dtype=torch.float64)
    drawn = np.random.default_rng(np.random.SeedSequence(words)).standard_normal((size, rank))
    basis: Tensor = torch.linalg.qr(torch.from_numpy(drawn))[0]
    return basis


def _last(vectors: Tensor, rank: int) -> Tensor:
    """The last ``rank`` columns, whose eigenvalues are the largest; where there are no more, the whole space."""
    size = len(vectors)
    return torch.eye(size, dtype=torch.float64) if rank >= size else vectors[:, size - rank :].contiguous()


def _most(values: Tensor, size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)[:, torch.argsort(values, stable=True)]


def penalty(objective: Objective, site: Site, pair: Pair) -> Tensor:
    """QᵀΛQ of one layer."""
    decay = objective.decay.double()
    inputs, outputs = pair
    pieces = []
    if site.weight[1]:
        pieces.append(decay[site.weight[0]].expand(len(inputs) - (1 if site.both else 0)))
    if site.bias[1]:
        pieces.append(decay[site.bias[0]].expand(1))
    eye = torch.eye(outputs.shape[1], dtype=torch.float64)
    return torch.kron(eye, inputs.T @ (torch.cat(pieces)[:, None] * inputs))


def features(objective: Objective, sites: Sites, pairs: list[Pair], of: Of, examples: Examples) -> Tensor:
    """φ of the gradients of loss or measurement [example, dimension], in the model's precision."""

    def cotangents(task: AbstractTask, output: Tensor, batch: Batch, _: object) -> Iterator[Tensor]:
        yield rows.output_gradient(task, output.detach(), batch, of)

    return torch.cat(list(_pieces(objective, sites, pairs, cotangents, examples)))


def fisher(
    objective: Objective,
    sites: Sites,
    pairs: list[Pair],
    gradients: OutputGradients,
    blocks: list[slice],
    examples: Examples,
) -> list[Tensor]:
    """Σ φ φᵀ over examples and their output gradients, block by block."""
    size = max(block.stop for block in blocks)
    totals = [torch.zeros(size, size, dtype=torch.float64)[block, block] for block in blocks]
    for piece in _pieces(objective, sites, pairs, gradients.columns, examples):
        for total, block in zip(totals, blocks, strict=True):
            total += piece[:, block].double().T @ piece[:, block].double()
    return totals


def _pieces(
    objective: Objective,
    sites: Sites,
    pairs: list[Pair],
    cotangents: Callable[[AbstractTask, Tensor, Batch, Any], Iterator[Tensor]],
    examples: Examples,
) -> Iterator[Tensor]:
    """φ of batch after batch, and of one output cotangent after the other [batch, dimension]."""
    for window, batch in examples.batches(objective.batch_size):
        tape = layers.record(objective.task, objective.theta, batch)
        calls = [[call for call in tape.calls if call.prefix == site.prefix] for site in sites.layers]
        lefts = [call.left for own in calls for call in own]
        for column in cotangents(objective.task, tape.output, batch, examples.ids[window]):
            back = iter(torch.autograd.grad(tape.output, lefts, column, retain_graph=True, materialize_grads=True))
            each = zip(sites.layers, calls, pairs, strict=True)
            yield torch.cat([_layer(site, own, [next(back) for _ in own], pair) for site, own, pair in each], 1)


def _layer(site: Site, calls: list[layers.Call], cotangents: list[Tensor], pair: Pair) -> Tensor:
    """vec Σ_t (Q_oᵀ g_t)(Q_iᵀ a_t)ᵀ of one layer [batch, dimension]."""
    g = returned(calls, cotangents)
    inputs, outputs = pair[0].to(g), pair[1].to(g)
    g = g @ outputs
    if site.embedding:
        a = inputs[torch.cat([layers.looked_up(call)[0] for call in calls], 1)]
    elif site.weight[1]:
        a = entered(calls) @ inputs[:-1] + inputs[-1] if site.both else entered(calls) @ inputs
    else:
        a = inputs[-1].expand(*g.shape[:2], -1)
    return torch.bmm(g.transpose(1, 2), a).flatten(1)

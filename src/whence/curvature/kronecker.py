"""Kronecker factors of layers from one pass: the ground of KFAC and EKFAC.

For a layer z = W a + b with inputs a_{i,t} and output cotangents g_{i,t} (example i, position t of T),

    A = 1/(nT) Σ_i Σ_t a aᵀ [input, input],    G = w Σ_i Σ_g Σ_t g gᵀ [output, output],    w = 1/n (mean) or 1 (sum)

A layer that is used more than once counts each use as further positions. This is KFAC-expand (Eschenhagen et al. 2023),
which for convolutions is Grosse and Martens (2016), whose T lies in the other factor. For an embedding a is a unit
vector, so A is the diagonal of how often each entry is looked up. Parameters that no plain linear, convolutional or
embedding layer holds (norms, grouped convolutions, weights used outside their module) have a diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, final

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from whence.batch import Batch, map_tensors
from whence.curvature.estimate import Totals
from whence.curvature.output_gradients import OutputGradients
from whence.curvature.structured import KroneckerBlock
from whence.examples import Examples
from whence.gradients import layers, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

Bias: TypeAlias = Literal["joint", "separate"]


@final
@dataclass(frozen=True)
class Site:
    """A layer that has a block: ``weight`` and ``bias`` say where they lie in the vector, or (0, 0) if not studied.

    ``entries``: how many an embedding has; 0 for other layers.
    """

    prefix: str
    weight: tuple[int, int]
    bias: tuple[int, int]
    entries: int = 0

    @property
    def embedding(self) -> bool:
        return bool(self.entries)

    @property
    def both(self) -> bool:
        return bool(self.weight[1] and self.bias[1])


@final
@dataclass(frozen=True)
class Sites:
    """The layers that have blocks, and the names of all other studied parameters, which have a diagonal."""

    layers: tuple[Site, ...]
    others: tuple[str, ...]


def sites_of(objective: Objective) -> Sites:
    """Which layers can be taken apart: plain ones in use whose gradients by hooks are autograd's for a few examples."""
    task, slices = objective.task, objective.task.layout.slices
    used = {call.prefix for call in layers.record(task, objective.theta, objective.train.take(slice(0, 1))).calls}
    good = rows.agreeing(task, objective.theta, objective.train)
    found, covered = [], set()
    for prefix, layer in task.module.named_modules():
        own = [f"{prefix}.{kind}" if prefix else kind for kind in ("weight", "bias")]
        studied = {name for name in own if name in slices}
        grouped = isinstance(layer, layers.CONVOLUTIONS) and layer.groups > 1
        if prefix not in used or type(layer) not in layers.LAYERS or grouped or not studied or not studied <= good:
            continue
        weight, bias = ((slices[name].start, slices[name].stop) if name in slices else (0, 0) for name in own)
        found.append(Site(prefix, weight, bias, layer.num_embeddings if isinstance(layer, nn.Embedding) else 0))
        covered |= studied
    return Sites(tuple(found), tuple(name for name in task.layout.names if name not in covered))


def factor_sums(
    objective: Objective, sites: Sites, gradients: OutputGradients, bias: Bias, mapper: AbstractMapper
) -> Totals:
    """The sums behind A and G of every layer, and the diagonal of the rest, over all examples in one pass."""
    part = partial(_factor_sums, objective.task, objective.theta, objective.batch_size, gradients, bias, sites)
    return mapper.sum(part, objective.train.shards(mapper.shards))  # type: ignore[no-any-return]


def bases(objective: Objective, sites: Sites, sums: Totals, bias: Bias) -> list[tuple[Site, KroneckerBlock]]:
    """The eigenbasis of A ⊗ G for each layer, with KFAC's eigenvalues: products of those of the factors."""
    found = []
    for site in sites.layers:
        outputs, right = _eigen(objective.weight * sums[f"{site.prefix}:G"])
        empty, one = outputs.new_zeros(0), outputs.new_ones(1)
        joint = site.both and bias == "joint"
        if site.weight[1]:
            a = sums[f"{site.prefix}:A"] / sums[f"{site.prefix}:T"]
            inputs, left = (empty, a) if site.embedding else _eigen(a)
            place = site.bias if joint else (0, 0)
            block = KroneckerBlock(outputs, inputs, right[:, None] * left, site.weight, place, site.embedding)
            found.append((site, block))
        if site.bias[1] and not joint:  # a column of its own, whose input is the number 1
            found.append((site, KroneckerBlock(outputs, empty, right[:, None] * one, (0, 0), site.bias)))
    return found


def rest(objective: Objective, sites: Sites, sums: Totals) -> Tensor:
    """The diagonal [parameter] of what no block covers, 0 elsewhere."""
    found = torch.zeros_like(objective.theta, dtype=torch.float64)
    for name in sites.others:
        found[objective.task.layout.slices[name]] = objective.weight * sums[f"{name}:rest"]
    return found


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(eigenvectors, eigenvalues) of a covariance; rounding below 0 is cut off."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors, values.clamp(min=0)


def traced(
    task: AbstractTask,
    theta: Tensor,
    batch: Batch,
    ids: npt.NDArray[Any],
    gradients: OutputGradients,
    sites: Sites,
) -> tuple[dict[str, list[layers.Call]], Iterator[dict[str, list[Tensor]]], list[Tensor]]:
    """Each layer's calls; for one output cotangent after the other those of the calls; and the output's cotangents."""
    tape = layers.record(task, theta, batch)
    calls = {site.prefix: [call for call in tape.calls if call.prefix == site.prefix] for site in sites.layers}
    lefts = [call.left for own in calls.values() for call in own]
    columns = list(gradients.columns(task, tape.output, batch, ids))

    def pulled() -> Iterator[dict[str, list[Tensor]]]:
        for column in columns if lefts else []:
            found = iter(torch.autograd.grad(tape.output, lefts, column, retain_graph=True, materialize_grads=True))
            yield {prefix: [next(found) for _ in own] for prefix, own in calls.items()}

    return calls, pulled(), columns


def entered(calls: list[layers.Call]) -> Tensor:
    """The inputs of all uses of a layer [batch, position, input]."""
    return joined([layers.entering(call) for call in calls])


def returned(calls: list[layers.Call], cotangents: list[Tensor]) -> Tensor:
    """The cotangents of all uses of a layer [batch, position, output]; 0 where an embedding looked up its padding."""
    pieces = []
    for call, cotangent in zip(calls, cotangents, strict=True):
        piece = layers.returning(call, cotangent)
        if isinstance(call.layer, nn.Embedding):
            piece = piece * layers.looked_up(call)[1][:, :, None]
        pieces.append(piece)
    return joined(pieces)


def joined(pieces: list[Tensor]) -> Tensor:
    """Pieces [batch, position, ...] one after the other; a single one is not copied."""
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


def _factor_sums(
    task: AbstractTask,
    theta: Tensor,
    batch_size: int,
    gradients: OutputGradients,
    bias: Bias,
    sites: Sites,
    examples: Examples,
) -> Totals:
    sums = Totals()
    for window, batch in examples.batches(batch_size):
        calls, pulled, columns = traced(task, theta, batch, examples.ids[window], gradients, sites)
        for site in sites.layers:
            _collect_inputs(sums, site, calls[site.prefix], site.both and bias == "joint")
        for cotangents in pulled:
            for site in sites.layers:
                sums.collect(f"{site.prefix}:G", _moment(returned(calls[site.prefix], cotangents[site.prefix])))
        if sites.others:
            for name, value in _squares(task, theta, batch, columns, sites.others).items():
                sums.collect(f"{name}:rest", value)
    return sums


def _collect_inputs(sums: Totals, site: Site, calls: list[layers.Call], joint: bool) -> None:
    if site.embedding:
        for call in calls:
            entries, real = layers.looked_up(call)
            sums.collect(f"{site.prefix}:A", torch.bincount(entries[real], minlength=site.entries))
            sums.collect(f"{site.prefix}:T", real.sum())
        return
    if not site.weight[1]:
        return
    a = entered(calls)
    count, moment = float(a.shape[0] * a.shape[1]), _moment(a)
    if joint:  # the bias is the weight of an input that is 1
        moment = torch.nn.functional.pad(moment, (0, 1, 0, 1), value=count)
        moment[:-1, -1] = moment[-1, :-1] = a.sum((0, 1))
    sums.collect(f"{site.prefix}:A", moment)
    sums.collect(f"{site.prefix}:T", torch.tensor(count, device=a.device))


def _moment(x: Tensor) -> Tensor:
    """Σ x xᵀ over batch and position of x [batch, position, feature]."""
    if x.shape[1] >= x.shape[2]:  # many positions: a product an example, and no copy where they lie behind features
        return torch.bmm(x.transpose(1, 2), x).sum(0)
    flat = x.flatten(0, 1)
    return flat.T @ flat


def _squares(
    task: AbstractTask, theta: Tensor, batch: Batch, columns: list[Tensor], names: tuple[str, ...]
) -> dict[str, Tensor]:
    """Σ_i Σ_g (∂(g·output_i)/∂θ_j)² for the parameters of these names, by vmap over examples and cotangents."""
    fixed = task.layout.unflatten(theta)
    some = {name: fixed[name] for name in names}

    def pull(inputs: object, target: Tensor, cotangents: Tensor) -> dict[str, Tensor]:
        one = Batch(map_tensors(lambda value: value[None], inputs), target[None])
        back = vjp(lambda own: task.predict_named(fixed | own, one)[0], some)[1]
        pulled: dict[str, Tensor] = vmap(back)(cotangents)[0]
        return pulled

    like = batch.to(theta.dtype, theta.device)
    found = vmap(pull)(like.inputs, like.targets, torch.stack(columns, 1))
    return {name: value.flatten(0, 1).square().sum(0).reshape(-1) for name, value in found.items()}

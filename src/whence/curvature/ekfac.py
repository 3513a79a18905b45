"""EKFAC: KFAC's eigenbasis with the right eigenvalues (George et al., NeurIPS 2018).

    w Σ_i J_iᵀ A_i J_i  ≈  blockdiag over layers of (U ⊗ V) diag(S) (U ⊗ V)ᵀ,       + diag(λ), the penalty

    S = w Σ_i Σ_g (Uᵀ (Σ_t g aᵀ) V)²     [output, input], the Gauss-Newton matrix' own diagonal in that basis

U and V are the eigenvectors of KFAC's factors G and A. Of all matrices that are diagonal in this basis it is the
nearest to the layer's block in the Frobenius norm (their Proposition 2 and Theorem 3); its trace is the block's. Two
passes over the data: one for the factors, one for S.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import torch
from torch import Tensor

from whence.curvature.estimate import AbstractEstimate, Totals
from whence.curvature.kronecker import (
    Bias,
    Site,
    Sites,
    bases,
    entered,
    factor_sums,
    joined,
    rest,
    returned,
    sites_of,
    traced,
)
from whence.curvature.layer_damping import layer_damping
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.output_gradients import Fisher, OutputGradients
from whence.curvature.structured import KroneckerBlock, KroneckerBlocks
from whence.examples import Examples
from whence.gradients import layers
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

NUMBERS = 2**24
"""How many numbers of examples' gradients of one layer are held at a time."""


@final
@dataclass(frozen=True, eq=False)
class EKFAC(AbstractEstimate):
    """``fisher``, ``samples``, ``seed``, ``bias`` and ``layer_damping`` as for KFAC; both passes see the same draws."""

    objective: Objective
    fisher: Fisher = "exact"
    samples: int = 1
    seed: int = 0
    bias: Bias = "joint"
    layer_damping: float = 0.0

    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        o, sites = self.objective, sites_of(self.objective)
        gradients = OutputGradients(self.fisher, self.samples, self.seed)
        sums = factor_sums(o, sites, gradients, self.bias, mapper)
        pairs = bases(o, sites, sums, self.bias)
        blocks = [block for _, block in pairs]
        if pairs:
            part = partial(_corrections, o.task, o.theta, o.batch_size, gradients, sites, pairs)
            found = mapper.sum(part, o.train.shards(mapper.shards))
            blocks = [replace(block, values=o.weight * found[str(number)]) for number, block in enumerate(blocks)]
        whole = KroneckerBlocks(tuple(blocks), rest(o, sites, sums), sites.others)
        return whole + Diagonal(o.decay.double() + layer_damping(whole, self.layer_damping))


def _corrections(
    task: AbstractTask,
    theta: Tensor,
    batch_size: int,
    gradients: OutputGradients,
    sites: Sites,
    pairs: list[tuple[Site, KroneckerBlock]],
    examples: Examples,
) -> Totals:
    """Σ_i Σ_g of the squared coordinates of each example's gradient, by the number of the block."""
    sums = Totals()
    cast = [(site, replace(b, outputs=b.outputs.to(theta), inputs=b.inputs.to(theta))) for site, b in pairs]
    for window, batch in examples.batches(batch_size):
        calls, pulled, _ = traced(task, theta, batch, examples.ids[window], gradients, sites)
        inputs = {site.prefix: _inputs(site, calls[site.prefix]) for site in sites.layers}
        for cotangents in pulled:
            g = {site.prefix: returned(calls[site.prefix], cotangents[site.prefix]) for site in sites.layers}
            for number, (site, block) in enumerate(cast):
                sums.collect(str(number), _squares(block, inputs[site.prefix], g[site.prefix]))
    return sums


def _inputs(site: Site, calls: list[layers.Call]) -> Tensor:
    """a [batch, position, input]; for an embedding the entries [batch, position]."""
    return joined([layers.looked_up(call)[0] for call in calls]) if site.embedding else entered(calls)


def _squares(block: KroneckerBlock, a: Tensor, g: Tensor) -> Tensor:
    """Σ_i (Uᵀ (Σ_t g_t a_tᵀ) V)² [output, input], with a bias as its own or one more column."""
    if block.transposed:
        return _looked_up_squares(a, g @ block.outputs, block.values.shape[1])
    if not block.weight[1]:
        return (g.sum(1) @ block.outputs).square().sum(0)[:, None]
    if a.shape[1] == 1:  # the square of a product is the product of the squares
        turned = a[:, 0] @ block.inputs[: a.shape[2]]
        turned = turned + block.inputs[-1] if block.bias[1] else turned
        return (g[:, 0] @ block.outputs).square().T @ turned.square()
    step = max(1, NUMBERS // block.values.numel())
    total = torch.zeros_like(block.values, dtype=g.dtype)
    for start in range(0, len(a), step):
        window = slice(start, start + step)
        gradients = torch.bmm(g[window].transpose(1, 2), a[window])
        if block.bias[1]:
            gradients = torch.cat([gradients, g[window].sum(1)[:, :, None]], 2)
        total += block.rotate(gradients).square().sum(0)
    return total


def _looked_up_squares(entries: Tensor, g: Tensor, length: int) -> Tensor:
    """The same for an embedding: g is summed over the positions of an example that looked up the same entry."""
    example = torch.arange(len(entries), device=entries.device)[:, None]
    pairs, inverse = torch.unique(example * length + entries, return_inverse=True)
    summed = g.new_zeros(len(pairs), g.shape[2]).index_add_(0, inverse.reshape(-1), g.flatten(0, 1))
    return g.new_zeros(length, g.shape[2]).index_add_(0, pairs % length, summed.square()).T

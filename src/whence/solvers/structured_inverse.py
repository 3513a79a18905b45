"""Inverses of curvature with a structure, from a solver's saved tensors: no pass over the data.

With S the structured part, c a number and D a diagonal (penalty and damping), (c·S + D)⁻¹ is

    Kronecker     Q (c·Λ + QᵀDQ)⁻¹ Qᵀ a layer, Q = U ⊗ V                exact where D is one number on a layer's weights
                                                                        and one on its biases
    dense blocks  a Cholesky factor of c·S_l + D_l a block              exact
    few rows UᵀU  D⁻¹ − D⁻¹Uᵀ(I/c + U D⁻¹ Uᵀ)⁻¹U D⁻¹ (Woodbury)         exact; D must be positive
    a diagonal    division                                              exact

Where a bias is a column of its weight's block, a penalty on weights alone makes D two numbers, w and w + d. In the
eigenbasis, with b the last row of V, each row o of the block is then a diagonal and a rank-one term, which Sherman and
Morrison (1950) invert:

    (diag(c·Λ_o + w) + d·b bᵀ)⁻¹

Where D is any other diagonal, QᵀDQ is replaced by its diagonal: the inverse is then approximate.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.structured import DenseBlocks, KroneckerBlock, KroneckerBlocks, LowRank
from whence.solvers.recursion import Apply


def restored(tensors: Mapping[str, Tensor]) -> AbstractOperator:
    """c·S + diag(d) from a state's tensors."""
    shift, scale = Diagonal(tensors["shift"]), float(tensors["scale"])
    if "rest" in tensors:
        return scale * KroneckerBlocks.of(tensors) + shift
    if "rows" in tensors:
        return scale * LowRank(tensors["rows"]) + shift
    places, matrices = _listed(tensors, "place"), _listed(tensors, "matrix")
    return scale * DenseBlocks(len(tensors["shift"]), places, matrices) + shift if matrices else shift


def inverse_of(tensors: Mapping[str, Tensor]) -> Apply:
    """v → (c·S + diag(d))⁻¹ v in float64, from a state's tensors; approximate only as the module's page says."""
    shift, scale = tensors["shift"], float(tensors["scale"])
    if "rest" in tensors:
        return _kronecker_inverse(KroneckerBlocks.of(tensors), scale, shift)
    if "rows" in tensors:
        return _woodbury(LowRank(tensors["rows"]), tensors["factor"], shift)
    places, factors = _listed(tensors, "place"), _listed(tensors, "factor")

    def apply(v: Tensor) -> Tensor:
        found = v / shift[:, None] if not places else torch.empty_like(v)
        for place, factor in zip(places, factors, strict=True):
            found[place] = cholesky.solve(factor, v[place])
        return found

    return apply


def _kronecker_inverse(structure: KroneckerBlocks, scale: float, shift: Tensor) -> Apply:
    outside = scale * structure.rest + shift
    inverses = [_block_inverse(block, scale, block.gather(shift[:, None])[0]) for block in structure.blocks]

    def apply(v: Tensor) -> Tensor:
        found = v / outside[:, None]
        for block, inverse in zip(structure.blocks, inverses, strict=True):
            block.scatter(block.restore(inverse(block.rotate(block.gather(v)))), found)
        return found

    return apply


def _block_inverse(block: KroneckerBlock, scale: float, shift: Tensor) -> Apply:
    """What divides the coordinates [k, output, input] of one block, for its part of D, ``shift`` [output, input]."""
    joint = bool(block.bias[1]) and shift.shape[1] > 1 and block.inputs.numel() > 0
    own, more = shift[0, 0], shift[0, -1] - shift[0, 0]
    two = torch.full_like(shift, float(own))
    two[:, -1] = shift[0, -1]
    if not joint or float(more) == 0 or not torch.equal(shift, two):
        divisor = scale * block.values + block.diagonal_of(shift)
        return lambda coordinates: coordinates / divisor
    divisor, row = scale * block.values + own, block.inputs[-1]
    apart = row / divisor  # diag(...)⁻¹ b for each output
    capacity = 1 / more + apart @ row

    def apply(coordinates: Tensor) -> Tensor:
        divided = coordinates / divisor
        return divided - (divided @ row / capacity)[:, :, None] * apart

    return apply


def _woodbury(structure: LowRank, factor: Tensor, shift: Tensor) -> Apply:
    def apply(v: Tensor) -> Tensor:
        divided = v / shift[:, None]
        inner = cholesky.solve(factor, structure.project(divided))
        return divided - structure.spread(inner) / shift[:, None]

    return apply


def _listed(tensors: Mapping[str, Tensor], name: str) -> tuple[Tensor, ...]:
    found: list[Tensor] = []
    while f"{name}.{len(found)}" in tensors:
        found.append(tensors[f"{name}.{len(found)}"])
    return tuple(found)

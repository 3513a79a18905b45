"""Damping of each layer in proportion to its own curvature (Grosse et al. 2023, arXiv:2308.03296; damped as in Eq. 21).

    blockdiag over layers l of  G_l + c λ̄_l I,       λ̄_l = tr G_l / p_l,       + diag(λ), the penalty

λ̄_l is the mean eigenvalue of the layer's block G_l [p_l, p_l], loss alone. Where the curvature of layers differs by
orders of magnitude, one number for all is nothing beside that of some and outweighs that of others. Grosse et al. take
c = 0.1 and no other damping; so does kronfluence with ``damping_factor=None``. A bias that is a column of its weight's
block shares in it. Parameters of no block, which have a diagonal, get none: they are left to the method's damping.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from whence.curvature.structured import DenseBlocks, KroneckerBlocks


def layer_damping(blocks: KroneckerBlocks | DenseBlocks, fraction: float) -> Tensor:
    """c λ̄_l for each parameter of a block, 0 for the others [parameter]; raises ValueError for no such ``fraction``."""
    check_layer_damping(fraction)
    found = torch.zeros(blocks.size, dtype=blocks.dtype, device=blocks.device)
    if isinstance(blocks, DenseBlocks):
        for place, matrix in zip(blocks.places, blocks.matrices, strict=True):
            found[place] = fraction * matrix.diagonal().mean()
    else:
        for block in blocks.blocks:
            block.scatter((fraction * block.values.mean()).expand_as(block.values)[None], found[:, None])
    return found


def check_layer_damping(fraction: float) -> None:
    """Raise ValueError unless it can be a layer's damping in multiples of its mean eigenvalue."""
    if not 0 <= fraction < math.inf:
        raise ValueError(
            f"layer_damping must be finite and not negative, not {fraction}: it counts each layer's mean eigenvalue, "
            "of which Grosse et al. (2023) take 0.1"
        )

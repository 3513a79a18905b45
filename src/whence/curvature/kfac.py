"""KFAC: a Kronecker product a layer in place of the Gauss-Newton matrix (Martens and Grosse, ICML 2015).

    w Σ_i J_iᵀ A_i J_i  ≈  blockdiag over layers of A ⊗ G,       + diag(λ), the penalty

with the factors of :mod:`whence.curvature.kronecker`; for convolutions Grosse and Martens (ICML 2016). One pass over
the data, and as many backward passes a batch as the kind of Fisher matrix has columns. The product is exact for a
single linear layer whose inputs and output curvature are independent, and for one output and one position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from whence.curvature.estimate import AbstractEstimate
from whence.curvature.kronecker import Bias, bases, factor_sums, rest, sites_of
from whence.curvature.layer_damping import layer_damping
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.output_gradients import Fisher, OutputGradients
from whence.curvature.structured import KroneckerBlocks
from whence.mapping import AbstractMapper
from whence.objective import Objective


@final
@dataclass(frozen=True, eq=False)
class KFAC(AbstractEstimate):
    """``fisher``, ``samples``, ``seed``: :mod:`whence.curvature.output_gradients`; nothing is drawn by default.

    ``bias``: ``"joint"``: a bias is one more column of its weight, so that the two are coupled; ``"separate"``: a block
    of its own. ``layer_damping``: :mod:`whence.curvature.layer_damping`.
    """

    objective: Objective
    fisher: Fisher = "exact"
    samples: int = 1
    seed: int = 0
    bias: Bias = "joint"
    layer_damping: float = 0.0

    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        o, sites = self.objective, sites_of(self.objective)
        sums = factor_sums(o, sites, OutputGradients(self.fisher, self.samples, self.seed), self.bias, mapper)
        pairs = bases(o, sites, sums, self.bias)
        found = KroneckerBlocks(tuple(block for _, block in pairs), rest(o, sites, sums), sites.others)
        return found + Diagonal(o.decay.double() + layer_damping(found, self.layer_damping))

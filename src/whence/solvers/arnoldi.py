"""Arnoldi iteration: the largest eigenpairs from products alone (Schioppa et al., "Scaling up influence functions",
AAAI 2022, section 3).

    Q = orthonormal basis of span{b, Bb, ..., B^{steps−1}b},  T = QᵀBQ,  T = W diag(μ) Wᵀ,  U = QW

of which the ``rank`` pairs of largest |μ| are kept and inverted as :mod:`whence.solvers.low_rank` says. Since B is
symmetric T is tridiagonal but for rounding (Lanczos); it is orthogonalised in full and made symmetric. Where the space
is exhausted the iteration goes on from a new random direction, so that repeated eigenvalues are found too.

Captum's ArnoldiInfluenceFunction has ``arnoldi_dim`` for ``steps`` and ``projection_dim`` for ``rank``, takes the
Hessian of the *sum* of losses without a penalty, calls damping ``hessian_reg``, and leaves the complement out: its
scores are those of ``objective="sum"``, ``weight_decay=0``, ``complement=False`` and the same damping. The paper leaves
it out as well. Here it is in by default, since the question is (H + δI)⁻¹: with 50 exact eigenpairs of an all-CNN on
MNIST and δ = 0.01 the correlation with the exact scores was 0.45 without it and 0.65 with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper
from whence.solvers.low_rank import damping_of, kept, solved
from whence.solvers.solver import AbstractSolver, Solution, State


@final
@dataclass(frozen=True)
class Arnoldi(AbstractSolver):
    """``steps`` products, once; then a solve costs two thin matrix products and one product for its certificate.

    ``rank``: how many pairs are kept; ``complement``: whether damping answers for all other directions;
    ``tolerance``: the relative residual below which the answer counts as converged; ``seed``: of the start b.
    """

    rank: int = 50
    steps: int = 200
    complement: bool = True
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= self.steps:
            raise ValueError(f"rank must lie between 1 and steps={self.steps}, not be {self.rank}")

    @property
    def name(self) -> str:
        return "Arnoldi (low rank)"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        damping = damping_of(operator)
        basis, projected = krylov(operator, min(self.steps, operator.size), self.seed)
        values, coordinates = torch.linalg.eigh(projected)
        values = values - damping
        order = values.abs().argsort(descending=True)[: self.rank]
        return kept(
            values[order], basis @ coordinates[:, order], damping, self.complement, {"products": projected.shape[0]}
        )

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        return solved(operator, state, v, self.tolerance)


def krylov(operator: AbstractOperator, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """(Q [parameter, steps], QᵀAQ) in float64 on the operator's device."""
    size, generator = operator.size, torch.Generator().manual_seed(seed)

    def drawn() -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64, device="cpu").to(operator.device)

    vector = drawn()
    basis = vector.new_zeros(size, steps)
    projected = vector.new_zeros(steps, steps)
    vector = vector / vector.norm()
    for step in range(steps):
        basis[:, step] = vector
        own = basis[:, : step + 1]
        product = operator.matmat(vector[:, None].to(operator.dtype))[:, 0].double()
        scale = product.norm()
        for _ in range(2):  # twice is enough (Parlett 1980)
            inside = own.T @ product
            projected[: step + 1, step] += inside
            product = product - own @ inside
        if product.norm() <= 1e-12 * scale:
            product = drawn()
            for _ in range(2):
                product = product - own @ (own.T @ product)
        vector = product / product.norm()
    upper = torch.triu(projected)
    return basis, upper + torch.triu(upper, 1).T

"""Nyström: a low-rank approximation from one random sketch, inverted by Woodbury's identity.

With a Gaussian Ω [parameter, rank], Y = BΩ for the undamped B, and a small shift ν that makes the core positive,

    B ≈ Y (ΩᵀY)⁻¹ Yᵀ = U diag(μ) Uᵀ,     (B + δI)⁻¹v ≈ U diag(1/(μ + δ)) Uᵀv + (v − U Uᵀv)/δ

(Frangella, Tropp and Udell, SIAM J. Matrix Anal. 2023, Algorithm 2.1; for influence Hataya and Yamada, AISTATS 2023.)
The rank products are one block, so a batch's graph serves all of them. It is meant for a positive semi-definite B: with
the Hessian's negative eigenvalues ν is as large as the sketch shows them to be, and the result's notes say it; with
Gauss-Newton curvature it is rounding.
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
class Nystroem(AbstractSolver):
    """``rank`` products, once; needs a positive damping. ``tolerance``, ``seed``: as for Arnoldi."""

    rank: int = 100
    tolerance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, not {self.rank}")

    @property
    def name(self) -> str:
        return "Nyström (low rank)"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        damping, rank = damping_of(operator), min(self.rank, operator.size)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.randn(operator.size, rank, generator=generator, dtype=torch.float64, device="cpu")
        test = torch.linalg.qr(drawn.to(operator.device)).Q
        sketch = operator.matmat(test.to(operator.dtype)).double() - damping * test
        core = test.T @ sketch
        lowest = float(torch.linalg.eigvalsh(0.5 * (core + core.T))[0])
        shift = float(torch.finfo(operator.dtype).eps * sketch.norm()) + 2 * max(0.0, -lowest)
        shifted = sketch + shift * test
        core = test.T @ shifted
        factor = torch.linalg.cholesky(0.5 * (core + core.T))
        thin = torch.linalg.solve_triangular(factor, shifted.T, upper=False).T
        vectors, singular, _ = torch.linalg.svd(thin, full_matrices=False)
        values = (singular.square() - shift).clamp(min=min(0.0, lowest))
        return kept(values, vectors, damping, True, {"products": rank, "shift": shift})

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        return solved(operator, state, v, self.tolerance)

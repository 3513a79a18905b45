"""Extreme eigenvalues of an operator from a few products: Lanczos with full reorthogonalisation (Lanczos 1950)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator


@dataclass(frozen=True)
class Extremes:
    """Ritz values: ``lambda_min`` lies above the smallest eigenvalue by at most ``error_min``, or it is exact.

    ``error`` bounds how far some true eigenvalue is from each Ritz value (the residual of the Ritz pair).
    """

    lambda_min: float
    lambda_max: float
    error_min: float
    error_max: float
    steps: int
    rounding: float = 0.0

    @property
    def surely_negative(self) -> bool:
        """Whether λ_min is below 0 by more than its error and the rounding of the products."""
        return self.lambda_min + self.error_min < -self.rounding


def extremes(
    operator: AbstractOperator,
    steps: int = 30,
    seed: int = 0,
    largest_within: float | None = None,
    smallest_within: float | None = None,
) -> Extremes:
    """Estimate λ_min and λ_max with ``steps`` products; exact when steps ≥ the number of parameters.

    ``largest_within``, ``smallest_within``: stop as soon as the Ritz pairs of λ_max and λ_min, those of the two that
    are given, have no larger residuals than these, relative to λ_max.
    """
    size = operator.size
    steps = min(steps, size)
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(size, generator=generator, dtype=torch.float64, device="cpu").to(operator.device)
    basis = vector.new_zeros(size, steps)
    alpha, beta = np.zeros(steps), np.zeros(steps)
    vector /= vector.norm()
    done = 0
    for step in range(steps):
        basis[:, step] = vector
        product = _product(operator, vector)
        alpha[step] = float(vector @ product)
        for _ in range(2):  # twice is enough (Parlett 1980)
            product -= basis[:, : step + 1] @ (basis[:, : step + 1].T @ product)
        beta[step] = float(product.norm())
        done = step + 1
        if beta[step] <= 1e-12 * max(1.0, float(np.abs(alpha[:done]).max())):
            break
        values, last = _ritz(alpha[:done], beta[:done])
        wanted = [(last[-1], largest_within), (last[0], smallest_within)]
        asked = [error <= within * abs(values[-1]) for error, within in wanted if within is not None]
        if asked and all(asked):
            break
        vector = product / beta[step]
    values, last = _ritz(alpha[:done], beta[:done])
    rounding = 64 * torch.finfo(operator.dtype).eps * float(np.abs(values).max())
    return Extremes(float(values[0]), float(values[-1]), float(last[0]), float(last[-1]), done, rounding)


def _ritz(
    alpha: npt.NDArray[np.float64], beta: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Eigenvalues of the tridiagonal matrix, smallest first, and the residual of each Ritz pair."""
    values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
    return values, np.abs(beta[-1] * vectors[-1])


def _product(operator: AbstractOperator, vector: Tensor) -> Tensor:
    return operator.matmat(vector[:, None].to(operator.dtype))[:, 0].double()

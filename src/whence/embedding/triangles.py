"""Symmetric matrices as lower triangles in column order, worked on in place: a covariance may be hundreds of MB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg.lapack
import torch
from torch import Tensor


def cholesky(matrix: npt.NDArray[np.float64]) -> tuple[Tensor | None, float]:
    """(Lᵀ, condition number in the 1-norm) of a lower triangle in columns, which is overwritten; None if singular."""
    norm = _one_norm(matrix)
    lower, failed = scipy.linalg.lapack.dpotrf(matrix, lower=1, overwrite_a=1, clean=1)
    if failed:
        return None, float("inf")
    inverse, _ = scipy.linalg.lapack.dpocon(lower, norm, uplo="L")
    return torch.from_numpy(lower.T), 1 / float(inverse) if inverse > 0 else float("inf")


def _one_norm(lower: npt.NDArray[np.float64]) -> float:
    """The largest column sum of |A|, column by column to spare a copy of the matrix."""
    sums = np.zeros(len(lower))
    for j in range(len(lower)):
        column = np.abs(lower[j:, j])
        sums[j:] += column
        sums[j] += float(column[1:].sum())
    return float(sums.max())


def square_norm(lower: npt.NDArray[np.float64]) -> float:
    """‖A‖²_F of the symmetric matrix A whose lower triangle this is."""
    values = lower.ravel(order="K")
    return 2 * float(np.vdot(values, values)) - float(np.square(np.diag(lower)).sum())

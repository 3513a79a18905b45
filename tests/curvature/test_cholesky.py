"""Two triangular solves against the matrix itself."""

from __future__ import annotations

import pytest
import torch

from whence.curvature import cholesky


@pytest.mark.parametrize("columns", [0, 1, 7])
@pytest.mark.parametrize("by_rows", [True, False])
def test_solve(columns: int, by_rows: bool) -> None:
    a = torch.randn(20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = a @ a.T + torch.eye(20, dtype=torch.float64)
    factor = torch.linalg.cholesky(matrix)
    factor = factor.contiguous() if by_rows else factor.mT.contiguous().mT
    v = a[:, :columns]
    torch.testing.assert_close(matrix @ cholesky.solve(factor, v), v, rtol=1e-10, atol=1e-10)

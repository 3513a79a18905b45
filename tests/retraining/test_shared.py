"""What refits share: the gradient that a removal causes, and the factor that Woodbury corrects for it."""

from __future__ import annotations

import pytest
import torch

import oracles
import whence as wh
from problems import problem
from whence.mapping import SerialMapper
from whence.retraining import shared
from whence.retraining.proximal import Proximal
from whence.solvers.solver import IndefiniteError


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("removed", [[4], [1, 9, 17]])
def test_the_gradient_that_a_removal_causes(removed: list[int], objective: str) -> None:
    o = problem("shared", objective).objective
    found = shared.removal_gradient(o, Proximal().prepare(o, SerialMapper()), torch.tensor(removed))
    with_all, without = (
        oracles.gradient(lambda t, w=weights: oracles.total(o, t, w), o.theta)
        for weights in (None, oracles.without(24, *removed))
    )
    torch.testing.assert_close(found, without - with_all, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_the_preconditioner_of_one_removal_is_exact(objective: str) -> None:
    """The inverse of the Gauss-Newton matrix of the others, penalty and damping included."""
    o = problem("mlp", objective).objective
    factor = shared.factorise(wh.GaussNewton(o), o, 0.2, SerialMapper())
    others = oracles.gauss_newton(o.over(o.train[[i for i in range(24) if i != 6]]))
    expected = torch.linalg.inv(others + 0.2 * torch.eye(len(o.theta), dtype=torch.float64))
    precondition = shared.preconditioner(o, factor, torch.tensor([6]))
    found = torch.stack([precondition(row) for row in torch.eye(len(o.theta), dtype=torch.float64)], 1)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_a_correction_of_too_high_a_rank_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    o = problem("mlp").objective
    factor = shared.factorise(wh.GaussNewton(o), o, 0.2, SerialMapper())
    v = torch.ones_like(o.theta)
    corrected = shared.preconditioner(o, factor, torch.tensor([6]))(v)
    monkeypatch.setattr(shared, "WOODBURY_UP_TO", 2)
    plain = shared.preconditioner(o, factor, torch.tensor([6]))(v)
    torch.testing.assert_close(plain, torch.cholesky_solve(v[:, None], factor)[:, 0])
    assert not torch.allclose(plain, corrected, rtol=1e-3)


def test_a_shared_factor_that_is_indefinite_is_refused() -> None:
    o = problem("bilinear").objective
    low = float(torch.linalg.eigvalsh(oracles.objective_hessian(o))[0])
    assert low < -1e-3
    with pytest.raises(IndefiniteError, match="Add at least"):
        Proximal(1e-6, curvature="hessian").prepare(o, SerialMapper())

"""What conjugate gradients are preconditioned with: how it is chosen, what it needs, and that it shortens the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_solving import right_hand_sides
from torch import nn

import whence as wh
from problems import problem, untrained
from whence.curvature.operator import Diagonal, Matrix
from whence.solvers import conjugate_gradient


def iterations(preconditioner: Any, operator: Any) -> int:
    solver = wh.ConjugateGradient(tolerance=1e-8, preconditioner=preconditioner, max_iterations=2000)
    found = solver.solve(operator, solver.prepare(operator), right_hand_sides(operator.size))
    assert bool(found.converged.all())
    return found.iterations


def test_auto_takes_the_operators_own_structure_else_a_sample_else_what_is_there() -> None:
    o = problem("mlp").objective

    def chosen(operator: Any) -> Any:
        return wh.ConjugateGradient(lanczos=2).prepare(operator).notes["preconditioner"]

    assert chosen(wh.Hessian(o).damped(0.1)) == "sampled"
    assert chosen(wh.GaussNewton(o).damped(0.1)) == "sampled"
    assert chosen(wh.EKFAC(o).damped(0.1)) == "its own structure"
    assert chosen(Diagonal(torch.ones(5001, dtype=torch.float64))) == "its own structure"
    assert chosen(Matrix(torch.eye(3).double())) == "dense"
    assert chosen(Matrix(wh.Hessian(o).dense()).damped(0.1)) == "dense"


def test_auto_of_a_large_matrix_is_its_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conjugate_gradient, "DENSE_UP_TO", 2)
    assert wh.ConjugateGradient(lanczos=2).prepare(Matrix(torch.eye(3).double())).notes["preconditioner"] == "diagonal"


@pytest.mark.parametrize("preconditioner", ["sampled", "ekfac"])
def test_a_matrix_knows_no_data_to_work_a_relative_out_from(preconditioner: Any) -> None:
    with pytest.raises(TypeError, match=r"this operator \(Matrix\) knows none: use 'dense', 'diagonal' or 'none'"):
        wh.ConjugateGradient(preconditioner=preconditioner).prepare(Matrix(torch.eye(3).double()))


def test_the_inverse_itself_needs_one_step() -> None:
    o = problem("conv").objective
    for make in (wh.BlockDiagonal, wh.SampledGaussNewton):
        assert iterations("auto", make(o).damped(0.1)) <= 2
    # biases have no penalty: within a block it is more than one number, and the structure's inverse only nearly one
    assert iterations("auto", wh.EKFAC(o).damped(0.1)) <= iterations("none", wh.EKFAC(o).damped(0.1)) / 2
    assert iterations("ekfac", wh.EmpiricalFisher(o).damped(10.0)) < 30


def test_relatives_shorten_the_way() -> None:
    """A perceptron whose inputs differ in scale, as badly conditioned as networks are."""
    torch.manual_seed(0)
    scales = torch.logspace(-1, 1, 12)
    net = nn.Sequential(nn.Linear(12, 10), nn.Tanh(), nn.Linear(10, 5))
    p = untrained(net, torch.randn(400, 12).double() * scales, torch.randint(0, 5, (400,)))
    operator = wh.GaussNewton(p.objective).damped(0.01)
    plain = iterations("none", operator)
    assert iterations("sampled", operator) < plain / 3
    assert iterations("dense", operator) < plain / 3
    assert iterations("ekfac", operator) < plain * 3 / 4


@pytest.mark.parametrize("preconditioner", ["sampled", "ekfac"])
def test_a_flat_relative_gets_a_ridge(preconditioner: Any) -> None:
    """Without penalty and damping the relative is singular; the operator need not be, and no search direction is."""
    p = problem("logistic-3", count=60)
    task = wh.Classification(p.task.module)
    o = wh.InfluenceFunction().fit(task, p.train).objective
    operator = wh.Hessian(o)
    inside = operator.matmat(right_hand_sides(operator.size))
    solver = wh.ConjugateGradient(tolerance=1e-8, preconditioner=preconditioner, lanczos=0)
    found = solver.solve(operator, solver.prepare(operator), inside)
    assert bool(found.converged.all())
    torch.testing.assert_close(operator.matmat(found.value), inside, rtol=1e-6, atol=1e-7)

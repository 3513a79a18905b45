"""Sums, multiples and damping of operators, against the same of matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import oracles
import whence as wh
from problems import problem
from whence.curvature.choice import operator_of
from whence.curvature.operator import AbstractOperator, Diagonal, Matrix


def symmetric(size: int = 6, seed: int = 0) -> Tensor:
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a + a.T


A, B, D = symmetric(), symmetric(seed=1), torch.arange(1.0, 7.0, dtype=torch.float64)
EYE = torch.eye(6, dtype=torch.float64)
ALGEBRA = [
    pytest.param(Matrix(A), A, id="matrix"),
    pytest.param(Diagonal(D), torch.diag(D), id="diagonal"),
    pytest.param(Matrix(A) + Matrix(B), A + B, id="sum"),
    pytest.param(3 * Matrix(A), 3 * A, id="left-multiple"),
    pytest.param(Matrix(A) * -0.5, -0.5 * A, id="right-multiple"),
    pytest.param(Matrix(A).damped(0.25), A + 0.25 * EYE, id="damped"),
    pytest.param(2 * (Matrix(A) + Diagonal(-D)).damped(1.5), 2 * (A - torch.diag(D) + 1.5 * EYE), id="nested"),
]


@pytest.mark.parametrize(("operator", "matrix"), ALGEBRA)
def test_algebra(operator: AbstractOperator, matrix: Tensor) -> None:
    v = symmetric(seed=2)[:, :4]
    assert operator.size == 6
    assert operator.examples == 0
    torch.testing.assert_close(operator.matmat(v), matrix @ v)
    torch.testing.assert_close(operator.dense(), matrix)
    torch.testing.assert_close(operator.diagonal(), matrix.diagonal())
    torch.testing.assert_close(operator.surrogate().dense(), matrix)
    torch.testing.assert_close(operator.minibatch(np.arange(2)).dense(), matrix)


@pytest.mark.parametrize("make", cases.OPERATORS)
def test_every_operator_agrees_with_its_own_matrix(make: cases.OperatorOf) -> None:
    operator = make(problem("conv").objective)
    matrix, eye = operator.dense(), torch.eye(operator.size, dtype=torch.float64)
    scale = float(matrix.abs().max())
    torch.testing.assert_close(operator.matmat(eye), matrix, rtol=1e-9, atol=1e-10 * scale)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(operator.diagonal(), matrix.diagonal(), rtol=1e-9, atol=1e-10 * scale)
    assert operator.examples == 24
    assert operator.dtype == torch.float64


def test_composites_are_what_the_oracle_adds_up() -> None:
    o = problem("mlp").objective
    gn, hessian, decay = oracles.gauss_newton(o), oracles.objective_hessian(o), torch.diag(o.task.coefficients)
    found = [make.values[0](o).dense() for make in cases.OPERATORS[2:]]
    torch.testing.assert_close(found[0], hessian + 0.3 * torch.eye(len(o.theta)).double(), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(found[1], 2.5 * gn - decay, rtol=1e-8, atol=1e-10)
    surrogate = cases.OPERATORS[2].values[0](o).surrogate().dense()
    torch.testing.assert_close(surrogate, gn + 0.3 * torch.eye(len(o.theta)).double(), rtol=1e-8, atol=1e-10)


def test_no_damping_is_the_operator_itself() -> None:
    operator = Matrix(A)
    assert operator.damped(0) is operator


@pytest.mark.parametrize("damping", [-0.1, float("nan"), float("inf")])
def test_damping_is_finite_and_not_negative(damping: float) -> None:
    with pytest.raises(ValueError, match="damping must be finite and not negative"):
        Matrix(A).damped(damping)
    p = problem("ridge")
    for make in (wh.InfluenceFunction, wh.ApproximateLeaveOneOut):
        with pytest.raises(ValueError, match="damping must be finite and not negative"):
            make(wh.Dense(), damping=damping).fit(p.task, p.train)


def test_operators_of_different_sizes_cannot_be_added() -> None:
    with pytest.raises(ValueError, match="operators of 6 and 4 parameters cannot be added"):
        Matrix(A) + Matrix(symmetric(4))


def test_an_operator_over_data_that_cannot_be_sampled_says_so() -> None:
    class Fixed(AbstractOperator):
        size, dtype, examples = 6, torch.float64, 10

        def matmat(self, v: Tensor) -> Tensor:
            return A @ v

    with pytest.raises(TypeError, match="Fixed cannot be estimated from a sample"):
        Fixed().minibatch(np.arange(2))
    torch.testing.assert_close(Fixed().dense(), A)


def test_curvature_by_name() -> None:
    o = problem("mlp").objective
    assert isinstance(operator_of("hessian", o), wh.Hessian)
    assert isinstance(operator_of("gauss-newton", o), wh.GaussNewton)
    own = wh.Hessian(o)
    assert operator_of(own, o) is own

"""Hessian and Gauss-Newton matrix against oracles: products, dense matrix, diagonal, shards and samples."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import oracles
import whence as wh
from problems import LINEAR, NAMES, problem
from whence.curvature import gauss_newton, one_linear
from whence.mapping import AbstractMapper
from whence.objective import Objective

BOTH = [("mean", name) for name in NAMES] + [("sum", "ridge"), ("sum", "mlp"), ("sum", "bilinear")]


@cache
def off_the_minimum(name: str, objective: str = "mean") -> Objective:
    """A point where residuals, and so the difference of Hessian and Gauss-Newton matrix, are not small."""
    o = problem(name, objective).objective
    theta = o.theta + 0.3 * torch.cos(torch.arange(len(o.theta), dtype=torch.float64))
    return replace(o, theta=theta, batch_size=7)


@cache
def expected(kind: str, name: str, objective: str = "mean") -> Tensor:
    return oracles.curvature(off_the_minimum(name, objective), kind)


def assert_equal(found: Tensor, like: Tensor) -> None:
    torch.testing.assert_close(found, like, rtol=1e-8, atol=1e-9 * float(like.abs().max()))


@pytest.mark.parametrize(("objective", "name"), BOTH)
@pytest.mark.parametrize("kind", ["hessian", "gauss-newton"])
def test_products_matrix_and_diagonal(kind: str, name: str, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauss_newton, "ROWS_BATCH", 5)
    monkeypatch.setattr(one_linear, "NUMBERS", 60)
    o = off_the_minimum(name, objective)
    operator = wh.Hessian(o) if kind == "hessian" else wh.GaussNewton(o)
    matrix = expected(kind, name, objective)
    v = torch.randn(operator.size, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (operator.size, operator.dtype, operator.examples) == (len(o.theta), torch.float64, 24)
    assert_equal(operator.matmat(v), matrix @ v)
    assert_equal(operator.matmat(v[:, :1]), matrix @ v[:, :1])
    assert_equal(operator.dense(), matrix)
    assert_equal(operator.diagonal(), matrix.diagonal())
    torch.testing.assert_close(operator.dense(), operator.dense().T, rtol=0, atol=1e-14 * float(matrix.abs().max()))


@pytest.mark.parametrize("name", ["mlp", "shared", "dict"])
def test_the_hessian_equals_differences_of_gradients(name: str) -> None:
    o = off_the_minimum(name)
    rough = oracles.central_differences(lambda t: oracles.gradient(lambda s: oracles.total(o, s), t), o.theta)
    found = wh.Hessian(o).dense()
    torch.testing.assert_close(found, rough, rtol=1e-5, atol=1e-7 * float(found.abs().max()))


@pytest.mark.parametrize("name", LINEAR)
def test_gauss_newton_is_the_hessian_of_models_that_are_linear(name: str) -> None:
    o = off_the_minimum(name)
    assert_equal(wh.GaussNewton(o).dense(), wh.Hessian(o).dense())


@pytest.mark.parametrize("name", ["mlp", "conv", "bilinear"])
def test_gauss_newton_is_not_the_hessian_of_others_and_is_positive(name: str) -> None:
    o = off_the_minimum(name)
    matrix, hessian = wh.GaussNewton(o).dense(), wh.Hessian(o).dense()
    assert float((matrix - hessian).norm()) > 1e-3 * float(hessian.norm())
    assert float(torch.linalg.eigvalsh(matrix)[0]) > -1e-12 * float(matrix.abs().max())
    assert float(torch.linalg.eigvalsh(hessian)[0]) < 0
    assert_equal(wh.Hessian(o).surrogate().dense(), matrix)


@pytest.mark.parametrize("mapper", cases.MAPPERS)
@pytest.mark.parametrize("make", [wh.Hessian, wh.GaussNewton])
def test_the_matrix_does_not_depend_on_where_it_is_worked_out(make: cases.OperatorOf, mapper: AbstractMapper) -> None:
    for name in ("conv", "bilinear"):
        o = off_the_minimum(name)
        assert_equal(make(o).dense(mapper), make(o).dense())


@pytest.mark.parametrize("make", cases.OPERATORS)
def test_samples_estimate_the_operator_without_bias(make: cases.OperatorOf) -> None:
    """The mean over a partition into equal parts is the operator itself, penalty and damping included."""
    operator = make(off_the_minimum("mlp"))
    parts = np.random.default_rng(0).permutation(24).reshape(4, 6)
    pieces = [operator.minibatch(np.sort(part)).dense() for part in parts]
    assert_equal(sum(pieces) / 4, operator.dense())
    assert float((pieces[0] - operator.dense()).norm()) > 0.05 * float(operator.dense().norm())


@pytest.mark.parametrize("make", [wh.Hessian, wh.GaussNewton])
def test_a_sum_cannot_be_sampled(make: cases.OperatorOf) -> None:
    with pytest.raises(TypeError, match="sampling needs objective='mean'"):
        make(off_the_minimum("mlp", "sum")).minibatch(np.arange(3))


def test_a_loss_that_is_linear_in_the_parameters_has_no_curvature() -> None:
    p = problem("ridge")
    task = wh.CustomTask(p.task.module, lambda output, batch: output[:, 0] * batch.targets, weight_decay=0.5)
    o = replace(p.objective, task=task)
    assert_equal(wh.Hessian(o).dense(), torch.diag(task.coefficients))


def test_float32_stays_float32() -> None:
    o = problem("mlp", dtype=torch.float32).objective
    exact = problem("mlp").objective
    for make in (wh.Hessian, wh.GaussNewton):
        operator = make(o)
        found = operator.matmat(torch.eye(operator.size, dtype=torch.float64))
        assert operator.dtype == found.dtype == operator.dense().dtype == torch.float32
        like = make(exact).dense()
        torch.testing.assert_close(found.double(), like, rtol=0, atol=1e-5 * float(like.abs().max()))

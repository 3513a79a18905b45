"""Block-diagonal, diagonal and empirical curvature against the same cut out of dense matrices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import cases
import oracles
import whence as wh
from problems import NAMES, problem
from whence.mapping import AbstractMapper
from whence.objective import Objective

BOTH = [("mean", name) for name in NAMES] + [("sum", "ridge"), ("sum", "mlp"), ("sum", "bilinear")]


@cache
def off_the_minimum(name: str, objective: str = "mean") -> Objective:
    o = problem(name, objective).objective
    theta = o.theta + 0.3 * torch.cos(torch.arange(len(o.theta), dtype=torch.float64))
    return replace(o, theta=theta, batch_size=7)


def assert_equal(found: Tensor, like: Tensor) -> None:
    torch.testing.assert_close(found, like, rtol=1e-8, atol=1e-9 * float(like.abs().max()))


@pytest.mark.parametrize(("objective", "name"), BOTH)
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (wh.BlockDiagonal, "block-diagonal"),
        (lambda o: wh.BlockDiagonal(o, "hessian"), "block-diagonal-hessian"),
        (wh.DiagonalGaussNewton, "diagonal"),
        (lambda o: wh.DiagonalGaussNewton(o, "empirical"), "diagonal:empirical"),
        (wh.EmpiricalFisher, "empirical-fisher"),
    ],
)
def test_products_matrix_and_diagonal(make: Any, word: str, name: str, objective: str) -> None:
    o = off_the_minimum(name, objective)
    operator, matrix = make(o), oracles.curvature(o, word)
    v = torch.randn(operator.size, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (operator.size, operator.dtype, operator.examples) == (len(o.theta), torch.float64, 24)
    assert_equal(operator.matmat(v), matrix @ v)
    assert_equal(operator.dense(), matrix)
    assert_equal(operator.diagonal(), matrix.diagonal())


@pytest.mark.parametrize("of", ["gauss-newton", "hessian"])
def test_blocks_by_parameter_and_by_prefix(of: Any) -> None:
    o = off_the_minimum("mlp")
    whole = oracles.gauss_newton(o) if of == "gauss-newton" else oracles.objective_hessian(o)
    owner = torch.tensor([0] * 16 + [1] * 4 + [2] * 12 + [3] * 3)
    assert_equal(wh.BlockDiagonal(o, of, "parameter").dense(), whole * (owner[:, None] == owner))
    assert_equal(wh.BlockDiagonal(o, of, ["0", "2"]).dense(), oracles.within_blocks(whole, o))
    owner = torch.tensor([0] * 20 + [2] * 12 + [3] * 3)
    assert_equal(wh.BlockDiagonal(o, of, ["0", "2.weight", "2.bias"]).dense(), whole * (owner[:, None] == owner))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("module", "by must be 'layer', 'parameter' or a list"),
        (["0"], "2.weight lies under none of the prefixes: blocks must cover each parameter once"),
        (["0", "0.weight", "2"], r"0.weight lies under \['0', '0.weight'\]"),
        (["0", "2", "4"], r"no studied parameter lies under \['4'\]"),
    ],
)
def test_blocks_cover_every_parameter_once(by: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wh.BlockDiagonal(problem("mlp").objective, by=by)


def test_other_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="of must be 'gauss-newton' or 'hessian'"):
        wh.BlockDiagonal(problem("mlp").objective, "fisher")  # type: ignore[arg-type]


@pytest.mark.parametrize("mapper", cases.MAPPERS)
@pytest.mark.parametrize("make", [row.values[0] for row in cases.OPERATORS[4:]])
def test_the_matrix_does_not_depend_on_where_it_is_worked_out(make: cases.OperatorOf, mapper: AbstractMapper) -> None:
    for name in ("conv", "bilinear"):
        o = off_the_minimum(name)
        assert_equal(make(o).dense(mapper), make(o).dense())


@pytest.mark.parametrize("make", [row.values[0] for row in cases.OPERATORS[4:]])
def test_a_sum_cannot_be_sampled(make: cases.OperatorOf) -> None:
    with pytest.raises(TypeError, match="sampling needs objective='mean'"):
        make(off_the_minimum("mlp", "sum")).minibatch([0, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [row.values[0] for row in cases.FITTED])
def test_what_is_fitted_to_its_examples_has_no_unbiased_sample(make: cases.OperatorOf) -> None:
    with pytest.raises(TypeError, match="cannot be estimated from a sample of its examples"):
        make(off_the_minimum("mlp")).minibatch([0, 1])  # type: ignore[arg-type]


def test_the_data_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    o = off_the_minimum("mlp")
    operators = [row.values[0](o) for row in (*cases.FITTED, *cases.OPERATORS[5:])]
    first = [operator.diagonal() for operator in operators]
    monkeypatch.setattr(type(o.train), "batches", None)
    for operator, expected in zip(operators, first, strict=True):
        assert_equal(operator.dense().diagonal(), expected)
        assert_equal(operator.estimated().diagonal(), expected)

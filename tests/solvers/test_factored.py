"""The direct solve by structure: exact for every structure, however it is scaled, damped and penalised."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import whence as wh
from problems import problem
from whence.curvature.operator import AbstractOperator, Diagonal, Matrix
from whence.curvature.structured import DenseBlocks, LowRank
from whence.objective import Objective
from whence.solvers.solver import IndefiniteError
from whence.solvers.structured_inverse import restored

STRUCTURES: list[Callable[[Objective], AbstractOperator]] = [
    wh.KFAC,
    wh.EKFAC,
    lambda o: wh.EKFAC(o, bias="separate"),
    wh.BlockDiagonal,
    lambda o: wh.BlockDiagonal(o, "hessian"),
    wh.DiagonalGaussNewton,
    wh.SampledGaussNewton,
    lambda o: wh.SampledGaussNewton(o, 3),
]


def right_hand_sides(size: int) -> Tensor:
    found = torch.randn(size, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found[:, 2] = 0
    return found


@pytest.mark.parametrize("name", ["mlp", "conv", "bilinear", "dict"])
@pytest.mark.parametrize("make", STRUCTURES)
@pytest.mark.parametrize(
    "around",
    [
        lambda whole, decay: whole.damped(0.1),
        lambda whole, decay: (1.04 * (whole + Diagonal(-decay)) + Diagonal(decay)).damped(0.2),
        lambda whole, decay: 3.0 * (whole + Diagonal(torch.linspace(0.1, 2.0, len(decay), dtype=torch.float64))),
    ],
)
def test_equals_the_dense_inverse(make: Any, around: Any, name: str) -> None:
    o = problem(name).objective
    operator = around(make(o), o.decay)
    v, solver = right_hand_sides(operator.size), wh.Factored()
    state = solver.prepare(operator)
    found = solver.solve(operator, state, v)
    matrix = operator.dense()
    torch.testing.assert_close(found.value, torch.linalg.inv(matrix) @ v, rtol=1e-8, atol=1e-9)
    assert bool(found.converged.all())
    assert (found.residual < 1e-8).all()
    assert found.residual[2] == 0
    low, high = torch.linalg.eigvalsh(matrix)[[0, -1]].tolist()
    assert 0.5 * low <= state.lambda_min <= 2.5 * low
    assert 0.6 * high <= state.lambda_max <= 1.0001 * high


def test_one_step_where_the_penalty_is_one_number_within_each_block() -> None:
    """With biases in blocks of their own, or no penalty, the eigenbasis alone is exact; else a few steps make it so."""
    o, v = problem("mlp").objective, right_hand_sides(35)

    def iterations(operator: AbstractOperator) -> int:
        return wh.Factored().solve(operator, wh.Factored().prepare(operator), v).iterations

    assert iterations(wh.EKFAC(o, bias="separate").damped(0.1)) == 1
    assert iterations((wh.EKFAC(o) + Diagonal(-o.decay)).damped(0.1)) == 1
    assert iterations(wh.EKFAC(o).damped(0.1)) == 1  # one number on weights, another on the biases of the same block
    uneven = Diagonal(torch.linspace(0.1, 0.2, len(o.theta), dtype=torch.float64))
    assert 1 < iterations(wh.EKFAC(o) + uneven) < 30


@pytest.mark.parametrize("make", STRUCTURES)
def test_a_state_is_all_that_a_solve_needs(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    o = problem("conv").objective
    operator = make(o).damped(0.1)
    v, solver = right_hand_sides(operator.size), wh.Factored()
    state = solver.prepare(operator)
    expected = solver.solve(operator, state, v).value
    monkeypatch.setattr(type(o.train), "batches", None)
    assert torch.equal(solver.solve(make(o).damped(0.1), state, v).value, expected)
    assert all(isinstance(tensor, Tensor) for tensor in state.tensors.values())
    torch.testing.assert_close(restored(state.tensors).dense(), operator.dense())


def test_no_structure_no_answer() -> None:
    o = problem("mlp").objective
    for operator in (wh.Hessian(o), wh.GaussNewton(o).damped(0.1), Matrix(torch.eye(3).double())):
        with pytest.raises(TypeError, match=r"has no structure .* Use Dense or ConjugateGradient"):
            wh.Factored().prepare(operator)
    with pytest.raises(TypeError, match="the sum of two structured curvatures has no structure"):
        wh.Factored().prepare(wh.EKFAC(o) + wh.KFAC(o))


def test_singular_and_indefinite_curvature_is_refused() -> None:
    o = replace(problem("mlp").objective)
    module = copy.deepcopy(o.task.module).requires_grad_(True)
    free = replace(o, task=wh.Classification(module))
    for make in (wh.KFAC, wh.EKFAC, wh.BlockDiagonal, lambda o: wh.SampledGaussNewton(o, 2)):
        with pytest.raises(IndefiniteError, match="singular"):
            wh.Factored().prepare(make(free))
    with pytest.raises(IndefiniteError, match="singular"):
        wh.Factored().prepare(Diagonal(torch.tensor([1.0, 0.0]).double()))
    with pytest.raises(IndefiniteError, match="damping"):
        wh.Factored().prepare(Diagonal(torch.tensor([1.0, -2.0]).double()))
    block = DenseBlocks(2, (torch.arange(2),), (torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double(),))
    with pytest.raises(IndefiniteError, match="smallest eigenvalue is -1"):
        wh.Factored().prepare(block)
    solver = wh.Factored()
    state = solver.prepare(block.damped(1.5))
    torch.testing.assert_close(
        solver.solve(block.damped(1.5), state, torch.ones(2, 1).double()).value[:, 0],
        torch.full((2,), 1 / 4.5).double(),
    )


def test_few_rows_in_float32_are_solved_for_in_float64() -> None:
    rows = torch.randn(300, 400, generator=torch.Generator().manual_seed(0))
    operator = LowRank(rows).damped(0.5)
    v = right_hand_sides(400)
    found = wh.Factored().solve(operator, wh.Factored().prepare(operator), v)
    expected = torch.linalg.solve(rows.double().T @ rows.double() + 0.5 * torch.eye(400).double(), v)
    torch.testing.assert_close(found.value, expected, rtol=1e-8, atol=1e-10)
    assert bool(np.isfinite(found.residual).all())

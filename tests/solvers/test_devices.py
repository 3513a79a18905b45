"""Tensors are made where the parameters are. Here the default device holds no numbers, so a tensor made there is found.

A parameter on a GPU beside a default on the CPU is the same situation.
"""

from __future__ import annotations

import pytest
import torch

import cases
import whence as wh
from problems import problem
from whence.solvers.solver import AbstractSolver

OPERATORS = [*cases.OPERATORS, *cases.FITTED]


@pytest.mark.parametrize("name", ["conv", "bilinear"])
@pytest.mark.parametrize("make", OPERATORS)
def test_operators(make: cases.OperatorOf, name: str) -> None:
    o = problem(name).objective
    expected, v = make(o).dense(), torch.eye(len(o.theta), dtype=torch.float64)[:, :2]
    with torch.device("meta"):
        operator = make(o)
        found = operator.damped(0.1).matmat(v)
        assert operator.device.type == "cpu"
        assert operator.dense().device.type == "cpu"
    torch.testing.assert_close(found, expected[:, :2] + 0.1 * v)


@pytest.mark.parametrize("solver", cases.SOLVERS)
def test_solvers(solver: AbstractSolver) -> None:
    operator = wh.Hessian(problem("mlp").objective).damped(0.1)
    v = torch.ones(operator.size, 2, dtype=torch.float64)
    with torch.device("meta"):
        found = solver.solve(operator, solver.prepare(operator), v)
    torch.testing.assert_close(operator.matmat(found.value), v, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [*cases.FITTED, *cases.OPERATORS[5:]])
def test_the_direct_solve_by_structure(make: cases.OperatorOf) -> None:
    operator = make(problem("conv").objective).damped(0.1)
    v = torch.ones(operator.size, 2, dtype=torch.float64)
    with torch.device("meta"):
        found = wh.Factored().solve(operator, wh.Factored().prepare(operator), v)
    torch.testing.assert_close(operator.matmat(found.value), v, rtol=1e-6, atol=1e-6)

"""Arnoldi and Nyström: what a few eigenpairs say, what stands for the rest, and what their certificate says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from test_solving import right_hand_sides, with_spectrum
from torch import Tensor

import oracles
import whence as wh
from problems import problem
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.solvers.low_rank import damping_of
from whence.solvers.solver import IndefiniteError

FALLING = [30.0, 20.0, 8.0, 3.0, 1.0, *np.linspace(0.02, 0.0, 35).tolist()]


class Counted(AbstractOperator):
    """A matrix that counts the columns it is multiplied with."""

    def __init__(self, values: Tensor) -> None:
        self.values, self.columns = values, 0

    size = property(lambda self: len(self.values))
    dtype = torch.float64

    def matmat(self, v: Tensor) -> Tensor:
        self.columns += v.shape[1]
        return self.values @ v


def by_hand(matrix: Tensor, rank: int, damping: float, complement: bool, v: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    order = values.abs().argsort(descending=True)[:rank]
    u = vectors[:, order]
    found = u @ ((u.T @ v) / (values[order] + damping)[:, None])
    return found + (v - u @ (u.T @ v)) / damping if complement else found


@pytest.mark.parametrize("complement", [True, False])
@pytest.mark.parametrize("rank", [1, 5, 12])
def test_arnoldi_is_the_truncated_inverse(rank: int, complement: bool) -> None:
    matrix, v = with_spectrum(FALLING), right_hand_sides(40)
    operator, solver = matrix.damped(0.1), wh.Arnoldi(rank, 40, complement)
    found = solver.solve(operator, solver.prepare(operator), v)
    torch.testing.assert_close(found.value, by_hand(matrix.values, rank, 0.1, complement, v), rtol=1e-7, atol=1e-9)


def test_a_few_more_steps_than_pairs_find_the_largest() -> None:
    matrix, v = with_spectrum(FALLING), right_hand_sides(40)
    solver = wh.Arnoldi(5, 12)
    found = solver.solve(matrix.damped(0.1), solver.prepare(matrix.damped(0.1)), v)
    expected = by_hand(matrix.values, 5, 0.1, True, v)
    assert float((found.value - expected).norm() / expected.norm()) < 1e-4


def test_the_largest_in_size_are_kept_and_negative_ones_are_used() -> None:
    matrix, v = with_spectrum([5.0, -4.0, *[0.01] * 20]), right_hand_sides(22)
    solver = wh.Arnoldi(2, 22)
    found = solver.solve(matrix.damped(6.0), solver.prepare(matrix.damped(6.0)), v)
    torch.testing.assert_close(found.value, by_hand(matrix.values, 2, 6.0, True, v), rtol=1e-7, atol=1e-9)
    with pytest.raises(IndefiniteError, match="damping"):
        solver.prepare(matrix.damped(3.0))


def test_repeated_eigenvalues_are_all_found() -> None:
    matrix, v = with_spectrum([2.0] * 6 + [1.0] * 6), right_hand_sides(12)
    solver = wh.Arnoldi(12, 12, tolerance=1e-8)
    found = solver.solve(matrix.damped(0.1), solver.prepare(matrix.damped(0.1)), v)
    assert bool(found.converged.all())


def test_nystroem_keeps_what_stands_out() -> None:
    matrix, v = with_spectrum(FALLING), right_hand_sides(40)
    solver = wh.Nystroem(15)
    state = solver.prepare(matrix.damped(0.1))
    expected = torch.linalg.solve(matrix.values + 0.1 * torch.eye(40).double(), v)
    found = solver.solve(matrix.damped(0.1), state, v).value
    assert float((found - expected).norm() / expected.norm()) < 0.1
    assert state.notes["products"] == 15
    assert state.notes["shift"] < 1e-12
    assert float(state.tensors["values"].max()) == pytest.approx(30.1, rel=1e-3)


def test_nystroem_of_an_indefinite_operator_says_its_shift() -> None:
    matrix, v = with_spectrum([5.0, 3.0, -0.2, *[0.01] * 9]), right_hand_sides(12)
    solver = wh.Nystroem(12, tolerance=1e-6)
    state = solver.prepare(matrix.damped(0.5))
    assert state.notes["shift"] == pytest.approx(0.4, rel=1e-6)
    assert bool(solver.solve(matrix.damped(0.5), state, v).converged.all())


@pytest.mark.parametrize("solver", [wh.Arnoldi(3, 9), wh.Nystroem(9)])
def test_products_are_spent_once_and_eight_certify_a_solve(solver: Any) -> None:
    operator = Counted(with_spectrum(FALLING).values)
    state = solver.prepare(operator.damped(0.1))
    assert operator.columns == 9
    for columns, products in ((1, 1), (7, 7), (200, 8)):
        before = operator.columns
        solver.solve(operator.damped(0.1), state, right_hand_sides(40, columns))
        assert operator.columns == before + products


@pytest.mark.parametrize("solver", [wh.Arnoldi(3, 20), wh.Nystroem(3)])
def test_the_certificate(solver: Any) -> None:
    matrix = with_spectrum(FALLING)
    operator = matrix.damped(0.1)
    state, v = solver.prepare(operator), right_hand_sides(40, 60)
    alone = solver.solve(operator, state, v[:, :1])
    true = (v - operator.dense() @ solver.solve(operator, state, v).value).norm(dim=0) / v.norm(dim=0)
    assert alone.residual[0] == pytest.approx(float(true[0]), rel=1e-9)
    assert alone.notes["residual"] == "exact"
    assert not alone.converged[0]
    many = solver.solve(operator, state, v)
    assert many.residual[0] == pytest.approx(float(true.square().mean().sqrt()), rel=0.5)
    empty = solver.solve(operator, state, torch.zeros(40, 2).double())
    assert empty.residual.tolist() == [0.0, 0.0]
    assert float(empty.value.abs().max()) == 0


def test_damping_is_read_off_the_operator() -> None:
    matrix = with_spectrum(FALLING)
    assert damping_of(matrix) == 0
    assert damping_of(2.0 * (matrix.damped(0.25) + Diagonal(torch.linspace(0.5, 1, 40).double()))) == 1.5
    with pytest.raises(ValueError, match="use a positive damping, complement=False, or ConjugateGradient"):
        wh.Nystroem(3).prepare(matrix)
    with pytest.raises(ValueError, match="use a positive damping"):
        wh.Arnoldi(3, 9).prepare(matrix)
    wh.Arnoldi(3, 9, complement=False).prepare(matrix)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wh.Arnoldi(0), "rank must lie between 1 and steps=200, not be 0"),
        (lambda: wh.Arnoldi(60, 50), "rank must lie between 1 and steps=50"),
        (lambda: wh.Nystroem(0), "rank must be at least 1"),
    ],
)
def test_options(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_captums_conventions() -> None:
    """Sum of losses, no penalty, no complement: embeddings g·U/√(μ + δ), whose dot products are the scores."""
    p = problem("mlp")
    task = wh.Classification(p.task.module, objective="sum")
    damping, rank = 5.0, 4
    found = wh.InfluenceFunction(wh.Arnoldi(rank, 35, complement=False), damping).fit(task, p.train)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        scores = found.attribute(p.queries)
    o = found.objective
    values, vectors = torch.linalg.eigh(wh.Hessian(o).dense())
    order = values.abs().argsort(descending=True)[:rank]
    rows = [oracles.example_gradients(task, o.theta, examples) for examples in (p.queries, p.train)]
    embedded = [g @ vectors[:, order] / (values[order] + damping).sqrt() for g in rows]
    np.testing.assert_allclose(scores, embedded[0] @ embedded[1].T, rtol=1e-6, atol=1e-9)

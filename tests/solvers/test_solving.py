"""Every solver solves: against a dense inverse, on real curvature and on spectra that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import oracles
import whence as wh
from problems import problem
from whence.curvature.operator import AbstractOperator, Diagonal, Matrix
from whence.solvers.solver import AbstractSolver, Solution, relative_residual


def right_hand_sides(size: int, count: int = 4) -> Tensor:
    return torch.randn(size, count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def solved(solver: AbstractSolver, operator: AbstractOperator, v: Tensor) -> Solution:
    return solver.solve(operator, solver.prepare(operator), v)


def with_spectrum(eigenvalues: list[float]) -> Matrix:
    """A matrix with these eigenvalues and an arbitrary basis."""
    size = len(eigenvalues)
    random = torch.randn(size, size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    basis = torch.linalg.qr(random).Q
    matrix = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    return Matrix(0.5 * (matrix + matrix.T))


@pytest.mark.parametrize("name", ["mlp", "conv", "bilinear"])
@pytest.mark.parametrize("solver", cases.SOLVERS)
def test_all_solvers_agree_with_the_inverse(solver: AbstractSolver, name: str) -> None:
    o = problem(name).objective
    operator = wh.Hessian(o).damped(0.1)
    matrix = oracles.objective_hessian(o) + 0.1 * torch.eye(operator.size).double()
    v = right_hand_sides(operator.size)
    expected = torch.linalg.inv(matrix) @ v
    found = solved(solver, operator, v)
    assert found.value.dtype == torch.float64
    assert found.converged.shape == found.residual.shape == (4,)
    assert bool(found.converged.all())
    assert float((found.value - expected).norm() / expected.norm()) < 1e-6
    true = (v - matrix @ found.value).norm(dim=0) / v.norm(dim=0)
    np.testing.assert_allclose(found.residual, true, rtol=1e-3, atol=1e-12)
    low, high = torch.linalg.eigvalsh(matrix)[[0, -1]].tolist()
    assert low * 0.999 <= found.lambda_min <= found.lambda_max <= 1.001 * high
    if getattr(solver, "lanczos", 1):  # without Lanczos the report holds what the search directions show
        assert found.lambda_min <= 3 * low
        assert found.lambda_max >= 0.9 * high


@pytest.mark.parametrize("solver", cases.SOLVERS)
def test_columns_are_solved_one_by_one(solver: AbstractSolver) -> None:
    """Easy, hard and empty columns side by side: each has its own certificate, and 0 solves 0."""
    operator = wh.Hessian(problem("mlp").objective).damped(0.05)
    matrix = operator.dense()
    eigen = torch.linalg.eigh(matrix).eigenvectors
    v = torch.stack([eigen[:, -1], right_hand_sides(operator.size)[:, 0], torch.zeros(operator.size)], 1)
    found = solved(solver, operator, v)
    assert torch.equal(found.value[:, 2], torch.zeros(operator.size, dtype=torch.float64))
    assert found.residual[2] == 0
    assert found.converged.tolist() == [True, True, True]
    for column in range(2):
        alone = solved(solver, operator, v[:, [column]])
        torch.testing.assert_close(found.value[:, [column]], alone.value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", cases.SOLVERS)
def test_scaling_the_question_scales_the_answer(solver: AbstractSolver) -> None:
    operator = wh.Hessian(problem("mlp").objective).damped(0.1)
    v = right_hand_sides(operator.size)
    one, small = solved(solver, operator, v), solved(solver, operator, 1e-12 * v)
    torch.testing.assert_close(1e12 * small.value, one.value, rtol=1e-7, atol=1e-8)
    assert bool(small.converged.all())


def test_conjugate_gradients_need_one_step_for_each_distinct_eigenvalue() -> None:
    operator = with_spectrum([1.0] * 10 + [3.0] * 10 + [50.0] * 10)
    plain = wh.ConjugateGradient(tolerance=1e-10, preconditioner="none")
    assert solved(plain, operator, right_hand_sides(30)).iterations == 3
    exact = wh.ConjugateGradient(tolerance=1e-10, preconditioner="dense")
    assert solved(exact, operator, right_hand_sides(30)).iterations == 1
    stretched = Diagonal(torch.logspace(-6, 3, 30, dtype=torch.float64))
    diagonal = wh.ConjugateGradient(tolerance=1e-10, preconditioner="diagonal")
    assert solved(diagonal, stretched, right_hand_sides(30)).iterations == 1


def test_not_converging_is_a_value() -> None:
    operator = with_spectrum(np.logspace(-4, 2, 30).tolist())
    v = right_hand_sides(30)
    found = solved(wh.ConjugateGradient(max_iterations=3, preconditioner="none"), operator, v)
    assert found.iterations == 3
    assert not found.converged.any()
    np.testing.assert_allclose(found.residual, (v - operator.values @ found.value).norm(dim=0) / v.norm(dim=0))
    assert (found.residual > 1e-3).all()


def test_the_reported_residual_is_the_true_one_in_float32() -> None:
    """The recursion believes in a residual that float32 products cannot deliver; the certificate does not."""
    o = problem("mlp", dtype=torch.float32).objective
    operator = wh.Hessian(o).damped(1e-3)
    v = right_hand_sides(operator.size)
    found = solved(wh.ConjugateGradient(tolerance=1e-12, preconditioner="dense"), operator, v)
    np.testing.assert_allclose(found.residual, relative_residual(operator, found.value, v))
    assert not found.converged.any()
    assert (found.residual < 1e-3).all()


def test_flat_directions_are_dropped_and_said() -> None:
    operator = with_spectrum([0.0, 0.0, 1.0, 2.0, 5.0])
    v = right_hand_sides(5)
    found = solved(wh.Eigen(), operator, v)
    torch.testing.assert_close(found.value, torch.linalg.pinv(operator.values, rtol=1e-9) @ v, rtol=1e-9, atol=1e-9)
    assert found.notes["flat_directions"] == 2
    flat = torch.linalg.eigh(operator.values).eigenvectors[:, :2]
    worst = float(((flat.T @ v).norm(dim=0) / v.norm(dim=0)).max())
    assert found.notes["relative_part_in_flat_directions"] == pytest.approx(worst, rel=1e-6)
    assert bool(found.converged.all())


def test_a_dense_solve_that_is_too_large_is_refused_with_the_remedy() -> None:
    operator = Diagonal(torch.ones(30, dtype=torch.float64))
    for solver in (wh.Dense(largest=29), wh.Eigen(largest=29)):
        with pytest.raises(ValueError, match=r"limit is 29 parameters. Use ConjugateGradient, or .* only="):
            solver.prepare(operator)
        type(solver)(largest=30).prepare(operator)


@pytest.mark.parametrize("solver", [wh.Dense(), wh.Eigen(), wh.ConjugateGradient(lanczos=0, preconditioner="none")])
def test_curvature_that_is_not_a_number_is_refused(solver: AbstractSolver) -> None:
    broken = torch.eye(4, dtype=torch.float64)
    broken[1, 1] = float("nan")
    with pytest.raises(ValueError, match=r"NaN or infin.*not twice differentiable here"):
        solved(solver, Matrix(broken), right_hand_sides(4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must lie between 0 and 1"),
        ({"tolerance": 1.0}, "tolerance must lie between 0 and 1"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
        ({"preconditioner": "jacobi"}, "preconditioner must be auto, sampled, dense, ekfac, diagonal or none"),
    ],
)
def test_conjugate_gradient_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wh.ConjugateGradient(**options)  # type: ignore[arg-type]

"""An operator with a negative eigenvalue is refused, and the damping that the refusal names works."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import oracles
import whence as wh
from problems import problem, untrained
from whence.curvature.operator import AbstractOperator, Matrix
from whence.solvers.solver import AbstractSolver, IndefiniteError, indefinite

SOLVERS = [
    pytest.param(wh.Dense(), id="dense"),
    pytest.param(wh.Eigen(), id="eigen"),
    pytest.param(wh.ConjugateGradient(preconditioner="diagonal"), id="cg-lanczos"),
    pytest.param(wh.ConjugateGradient(preconditioner="none", lanczos=0), id="cg-curvature"),
    pytest.param(wh.ConjugateGradient(preconditioner="dense"), id="cg-dense"),
    pytest.param(wh.LiSSA(depth=2, repeats=1, batch=8), id="lissa"),
]


def one(depth: float) -> Tensor:
    """Eigenvalues 1 to 10 and one of −depth."""
    return torch.cat([torch.tensor([-depth]), torch.linspace(1, 10, 59)]).double()


def many(depth: float) -> Tensor:
    """Eigenvalues from −depth on, of which none stands apart."""
    return torch.linspace(-depth, 10, 60).double()


def saddle(values: Tensor) -> Matrix:
    random = torch.randn(60, 60, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    basis = torch.linalg.qr(random).Q
    matrix = basis @ torch.diag(values) @ basis.T
    return Matrix(0.5 * (matrix + matrix.T))


def named(error: IndefiniteError) -> float:
    """The damping that a message proposes to add."""
    found = re.search(r"damping \+= ([0-9.e+-]+)\)", str(error))
    assert found is not None, str(error)
    return float(found.group(1))


def solve(solver: AbstractSolver, operator: AbstractOperator, v: Tensor) -> Tensor:
    return solver.solve(operator, solver.prepare(operator), v).value


@pytest.mark.parametrize(("spectrum", "depth"), [(one, 1e-3), (one, 0.5), (one, 20.0), (many, 1.0), (many, 5.0)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_damping_that_is_named_works(
    solver: AbstractSolver, spectrum: Callable[[float], Tensor], depth: float
) -> None:
    operator = saddle(spectrum(depth))
    v = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(IndefiniteError, match=r"indefinite.*or use Gauss-Newton") as caught:
        solve(solver, operator, v)
    more = named(caught.value)
    assert depth < more < 1.6 * depth
    assert bool(torch.isfinite(solve(solver, operator.damped(more), v)).all())


@pytest.mark.parametrize("scale", [1e-9, 3.49e-4, 1.0, 7.77e5])
def test_the_named_damping_survives_its_rounding(scale: float) -> None:
    assert scale < named(indefinite(-scale)) < 1.3 * scale


def test_the_named_damping_is_a_number_also_where_the_eigenvalue_is_rounding() -> None:
    assert named(indefinite(-1e-20)) > 0


@pytest.mark.parametrize("solver", [wh.Dense(), wh.Eigen(), wh.ConjugateGradient(), wh.LiSSA(batch=24)])
def test_a_model_at_a_saddle_is_refused_with_its_eigenvalue(solver: AbstractSolver) -> None:
    torch.manual_seed(0)
    x = torch.randn(24, 3, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    p = untrained(module, x, 3 * torch.randn(24, dtype=torch.float64), wh.Regression)
    low = float(torch.linalg.eigvalsh(oracles.objective_hessian(p.objective))[0])
    assert low < -0.1
    with pytest.raises(IndefiniteError, match=f"{low:.2f}"[:4]) as caught:
        wh.InfluenceFunction(solver, damping=0.0).fit(p.task, p.train).attribute(p.queries)
    more = named(caught.value)
    fitted = wh.InfluenceFunction(solver, damping=more).fit(p.task, p.train)
    assert fitted.prepared.solver["lambda_min"] > 0
    wh.InfluenceFunction(solver, damping=0.01, curvature="gauss-newton").fit(p.task, p.train)


def test_a_flat_direction_is_no_negative_eigenvalue() -> None:
    """The common shift of all output biases: rounding makes its eigenvalue a little negative or positive."""
    p = problem("logistic-3")
    scores = wh.InfluenceFunction(wh.Eigen(), damping=0.0).fit(p.task, p.train).attribute(p.queries)
    assert scores.attrs["notes"]["flat_directions"] == 1


def test_a_flat_direction_is_no_negative_one() -> None:
    """Softmax regression is flat along the shift of both biases: CG may solve it, Dense says what to use instead."""
    values = torch.diag(torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64))
    values[0, 0] = -3e-17
    v = torch.tensor([[0.0], [1.0], [1.0]], dtype=torch.float64)
    solver = wh.ConjugateGradient(1e-10, preconditioner="none")
    state = solver.prepare(Matrix(values))
    assert torch.allclose(solver.solve(Matrix(values), state, v).value[1:, 0], torch.tensor([1.0, 1 / 3]).double())
    with pytest.raises(IndefiniteError, match=r"singular.*Eigen"):
        wh.Dense().prepare(Matrix(values))

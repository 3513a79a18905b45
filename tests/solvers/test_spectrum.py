"""Lanczos extremes on spectra that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whence.curvature.operator import Diagonal, Matrix
from whence.solvers.dense import Dense
from whence.solvers.spectrum import extremes


def diagonal(*values: float) -> Diagonal:
    return Diagonal(torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(1, 10, 12),
        np.concatenate([[-3.0], np.linspace(0, 5, 20)]),
        np.array([0.0, 0.0, 2.0]),
        np.array([4.0]),
        1e8 * np.linspace(1, 2, 9),
        1e-8 * np.linspace(-1, 2, 9),
    ],
)
def test_exact_with_as_many_steps_as_parameters(values: np.ndarray) -> None:
    found = extremes(diagonal(*values), len(values) + 5)
    scale = abs(values).max()
    assert found.lambda_min == pytest.approx(values.min(), abs=1e-9 * scale)
    assert found.lambda_max == pytest.approx(values.max(), abs=1e-9 * scale)
    assert found.error_min <= 1e-6 * scale
    assert found.steps <= len(values)


def test_repeated_eigenvalues_stop_it_early() -> None:
    found = extremes(diagonal(*([1.0] * 10 + [5.0] * 10)), 20)
    assert found.steps <= 3
    assert (found.lambda_min, found.lambda_max) == pytest.approx((1.0, 5.0))
    same = extremes(diagonal(*[2.0] * 7), 5)
    assert (same.steps, same.lambda_min, same.lambda_max) == (1, pytest.approx(2.0), pytest.approx(2.0))


def test_few_steps_find_extremes_that_stand_apart_and_bound_their_error() -> None:
    values = np.concatenate([[-8.0], np.linspace(0, 1, 200), [30.0]])
    found = extremes(diagonal(*values), 15)
    assert found.lambda_min == pytest.approx(-8, abs=1e-4)
    assert found.lambda_max == pytest.approx(30, abs=1e-6)
    rough = extremes(diagonal(*values), 4)
    for value, error in ((rough.lambda_min, rough.error_min), (rough.lambda_max, rough.error_max)):
        assert np.abs(values - value).min() <= error + 1e-12
        assert values.min() - 1e-9 <= value <= values.max() + 1e-9
    assert rough.error_min > found.error_min


def test_the_start_is_drawn_from_the_seed_alone() -> None:
    operator = diagonal(*np.linspace(0, 1, 50))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = extremes(operator, 5)
    torch.manual_seed(2)
    assert extremes(operator, 5) == first
    assert extremes(operator, 5, seed=1) != first
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_large_factor_reports_its_extremes_by_lanczos(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(80, 80, generator=generator, dtype=torch.float64))[0]
    matrix = basis @ torch.diag(torch.logspace(-2, 2, 80, dtype=torch.float64)) @ basis.T
    monkeypatch.setattr("whence.solvers.dense.EIGENVALUES_UP_TO", 10)
    state = Dense().prepare(Matrix(0.5 * (matrix + matrix.T)))
    assert state.lambda_min == pytest.approx(1e-2, rel=1e-6)
    assert state.lambda_max == pytest.approx(1e2, rel=1e-6)


def test_it_goes_on_for_the_end_that_was_asked_for() -> None:
    """The largest eigenvalue stands apart and is found first, exactly; the smallest needs more products."""
    values = np.concatenate([[-0.05], np.linspace(0, 1, 300), [100.0]])
    operator = diagonal(*values)
    largest = extremes(operator, 250, largest_within=1e-6)
    smallest = extremes(operator, 250, smallest_within=1e-6)
    both = extremes(operator, 250, largest_within=1e-6, smallest_within=1e-6)
    assert largest.steps < 10 < smallest.steps < 250
    assert both == smallest
    assert smallest.lambda_min == pytest.approx(-0.05, abs=1e-4)
    assert smallest.error_min <= 1e-6 * 100
    plain = extremes(operator, 120)
    assert plain.steps == 120
    assert plain.lambda_min == pytest.approx(-0.05, abs=1e-9)

"""Law: damping="auto" adds what the spectrum asks for, says why, and answers as that number given by hand would."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
import oracles
import whence as wh
from problems import Problem, features, problem, untrained
from whence.curvature.operator import Matrix
from whence.retraining.proximal import Proximal
from whence.solvers.automatic_damping import KAPPA, automatic_damping

METHODS = [
    pytest.param(wh.InfluenceFunction(wh.Dense(), "auto"), id="influence-dense"),
    pytest.param(wh.InfluenceFunction(wh.Eigen(), "auto"), id="influence-eigen"),
    pytest.param(wh.InfluenceFunction(wh.ConjugateGradient(tolerance=1e-10), "auto"), id="influence-cg"),
    pytest.param(wh.InfluenceFunction(wh.Dense(), "auto", "gauss-newton"), id="gauss-newton"),
    pytest.param(wh.ApproximateLeaveOneOut(wh.Dense(), "auto"), id="leverage"),
    pytest.param(wh.ApproximateLeaveOneOut(wh.Eigen(), "auto"), id="leverage-eigen"),
]


def matrix(*eigenvalues: float, seed: int = 0) -> Matrix:
    """A dense symmetric matrix with these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    basis = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return Matrix(basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T)


def off_the_minimum() -> Problem:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return untrained(networks.mlp(), features(30, 4), torch.arange(30) % 3)


@pytest.mark.parametrize(
    ("eigenvalues", "expected", "words"),
    [
        ((0.5, 1.0, 20.0), 0.0, "condition number of at most 10,000, so nothing is added"),
        ((0.002, 1.0, 20.0), 0.0, "nothing is added"),
        ((0.0, 1.0, 20.0), 0.002, "smallest eigenvalue is at least"),
        ((0.0005, 1.0, 20.0), 0.0015, "smallest eigenvalue is at least"),
        ((-0.001, 1.0, 20.0), 0.003, "smallest eigenvalue is at least"),
        ((-0.1, 1.0, 20.0), 0.2, "as far above 0 as it lay below"),
        ((-3.0, -1.0, 2.0), 6.0, "as far above 0 as it lay below"),
        ((-0.00123, 0.1, 0.2), 0.0025, "as far above 0"),
    ],
)
def test_the_rule(eigenvalues: tuple[float, ...], expected: float, words: str) -> None:
    found = automatic_damping(matrix(*eigenvalues))
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert words in found.reason
    assert (found.lambda_min, found.lambda_max) == pytest.approx((eigenvalues[0], eigenvalues[-1]), abs=1e-9)
    assert found.error == 0


@pytest.mark.parametrize("seed", range(3))
def test_large_spectra_are_estimated_on_the_safe_side(seed: int) -> None:
    """400 eigenvalues near 0, a few large ones: what a network's Hessian looks like."""
    values = np.concatenate([np.linspace(-0.0015, 0.01, 400), [0.5, 2.0, 8.0, 90.0]])
    operator = matrix(*values, seed=seed)
    found = automatic_damping(operator)
    assert 30 <= found.products < 200
    assert found.error <= 0.25 * 90 / KAPPA
    assert values[0] - 1e-12 <= found.lambda_min <= values[0] + 2 * found.error
    damped = torch.linalg.eigvalsh(operator.values + found.value * torch.eye(len(values), dtype=torch.float64))
    assert damped[0] >= 90 / KAPPA
    exact = 90 / KAPPA + 0.0015
    assert exact <= found.value <= 1.1 * (exact + found.error)


def test_it_is_deterministic() -> None:
    operator = matrix(*np.linspace(-0.1, 5, 300))
    torch.manual_seed(1)
    first = automatic_damping(operator)
    torch.manual_seed(2)
    assert automatic_damping(operator) == first


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_as_the_number_given_by_hand(method: Any, tmp_path: Path) -> None:
    p = off_the_minimum()
    explainer = method.fit(p.task, p.train)
    scores = explainer.attribute(p.queries)
    damping = scores.attrs["damping"]
    hand = replace(method, damping=damping).fit(p.task, p.train)
    expected = hand.attribute(p.queries)
    scale = float(abs(expected).max())
    np.testing.assert_allclose(scores, expected, atol=1e-7 * scale)
    np.testing.assert_allclose(explainer.self_influence(), hand.self_influence(), atol=1e-7 * scale)
    np.testing.assert_allclose(explainer.parameter_change([0, 4]), hand.parameter_change([0, 4]), atol=1e-6)
    explainer.save(tmp_path / "kept")
    again = method.load(tmp_path / "kept", p.task, p.train)
    np.testing.assert_allclose(again.attribute(p.queries), scores, atol=1e-7 * scale)
    assert again.attribute(p.queries).attrs["damping"] == damping
    # the reason stands in the result, and the result can be written
    assert scores.attrs["options"]["damping"] == "auto"
    note = scores.attrs["notes"]["automatic_damping"]
    assert note["value"] == damping > 0
    assert "is added" in note["reason"]
    assert json.loads(json.dumps(scores.attrs, allow_nan=False))["damping"] == damping
    wh.save(scores, tmp_path / "scores")


def test_what_it_adds_makes_an_indefinite_hessian_positive_definite() -> None:
    p = off_the_minimum()
    with pytest.raises(ValueError, match="indefinite"):
        wh.InfluenceFunction(wh.Dense(), 0.0).fit(p.task, p.train)
    found = wh.InfluenceFunction(wh.Dense(), "auto").fit(p.task, p.train)
    values = torch.linalg.eigvalsh(oracles.objective_hessian(p.objective))
    assert float(values[0]) < 0
    note = found.prepared.notes["automatic_damping"]
    assert (note["lambda_min"], note["lambda_max"]) == pytest.approx((float(values[0]), float(values[-1])), rel=1e-6)
    assert found.damping is not None
    assert float(values[0]) + found.damping >= -0.99 * float(values[0])


def test_a_strict_minimum_needs_none_and_is_then_exact() -> None:
    p = problem("ridge")
    task = wh.Regression(p.task.module, weight_decay={"weight": 0.05, "bias": 0.05})
    found = wh.InfluenceFunction(wh.Dense(), "auto").fit(task, p.train).attribute(p.queries)
    assert found.attrs["damping"] == 0
    assert "nothing is added" in found.attrs["notes"]["automatic_damping"]["reason"]


def test_the_refits_of_verify_are_of_the_damping_that_was_found() -> None:
    p = off_the_minimum()
    scores = wh.ApproximateLeaveOneOut(damping="auto").fit(p.task, p.train).attribute(p.queries, verify=2)
    assert scores.attrs["verification"]["truth"]["kind"] == "proximal"
    assert scores.attrs["verification"]["truth"]["damping"] == scores.attrs["damping"]
    given = wh.ApproximateLeaveOneOut(damping="auto").fit(p.task, p.train)
    by_hand = given.attribute(p.queries, verify=2, refit=Proximal(scores.attrs["damping"]))
    np.testing.assert_allclose(by_hand["actual"], scores["actual"], rtol=1e-6)


def test_another_word_is_refused() -> None:
    p = problem("mlp")
    with pytest.raises(ValueError, match="a number or 'auto', not 'automatic'"):
        wh.InfluenceFunction(damping="automatic").fit(p.task, p.train)  # type: ignore[arg-type]


def test_direct_solvers_work_the_matrix_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    dense = wh.Hessian.dense
    monkeypatch.setattr(wh.Hessian, "dense", lambda self, mapper=None: calls.append(1) or dense(self, mapper))
    p = off_the_minimum()
    wh.InfluenceFunction(wh.Dense(), "auto").fit(p.task, p.train)
    assert calls == [1]
    assert isinstance(p.task.module, nn.Module)

"""Proximal and converged refits against the definition of what they minimise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import oracles
import whence as wh
from problems import problem
from whence.curvature.operator import Matrix
from whence.gradients import functional
from whence.mapping import SerialMapper
from whence.objective import Objective
from whence.retraining.converged import Converged
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit, Trained

SETS = [[0], [7], [3, 11, 20]]


def proximal_value(o: Objective, theta: Tensor, removed: list[int], strength: float) -> Tensor:
    """F₋R(θ) − ∇F(θ̂)·(θ − θ̂) + ½ λ ‖θ − θ̂‖², term by term."""
    pull = oracles.gradient(lambda t: oracles.total(o, t), o.theta)
    step = theta - o.theta
    return (
        oracles.total(o, theta, oracles.without(o.count, *removed)) - pull @ step + 0.5 * strength * step.square().sum()
    )


def refitted(refit: AbstractRefit, o: Objective, removed: list[int]) -> Trained:
    shared = refit.prepare(o, SerialMapper())
    return refit.refit(o, shared, torch.tensor(removed), seed=0)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("removed", SETS)
@pytest.mark.parametrize("name", ["mlp", "shared", "dict"])
def test_the_proximal_refit_is_stationary(name: str, removed: list[int], objective: str) -> None:
    o = problem(name, objective).objective
    strength = 0.05 if objective == "mean" else 2.0
    found = refitted(Proximal(strength, tolerance=1e-8), o, removed)
    gradient = oracles.gradient(lambda t: proximal_value(o, t, removed, strength), found.theta)
    start = oracles.gradient(lambda t: proximal_value(o, t, removed, strength), o.theta)
    assert found.converged
    assert float(gradient.norm()) < 1.1e-8 * float(start.norm())
    assert found.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-3, abs=1e-14)
    assert float((found.theta - o.theta).norm()) > 1e-3


@pytest.mark.parametrize("removed", SETS)
def test_the_proximal_refit_is_the_minimum_that_scipy_finds(removed: list[int]) -> None:
    o = problem("mlp").objective
    found = refitted(Proximal(0.1, tolerance=1e-10), o, removed)
    best, norm = oracles.minimum(lambda t: proximal_value(o, t, removed, 0.1), o.theta)
    assert norm < 1e-12
    torch.testing.assert_close(found.theta, best, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("curvature", ["gauss-newton", "hessian", "matrix"])
def test_the_shared_factor_changes_the_speed_and_not_the_answer(curvature: Any) -> None:
    o = problem("mlp").objective
    poor = Matrix(torch.eye(len(o.theta), dtype=torch.float64) + torch.diag(o.decay))
    chosen = poor if curvature == "matrix" else curvature
    found = refitted(Proximal(0.1, tolerance=1e-10, curvature=chosen), o, [7])
    best = refitted(Proximal(0.1, tolerance=1e-10), o, [7])
    torch.testing.assert_close(found.theta, best.theta, rtol=1e-7, atol=1e-9)
    assert (found.evaluations > best.evaluations) == (curvature == "matrix")


@pytest.mark.parametrize("refit", [Proximal(0.1), Converged(stationary=1.0, max_evaluations=40)])
def test_evaluations_are_counted(refit: AbstractRefit, monkeypatch: pytest.MonkeyPatch) -> None:
    o = problem("mlp").objective
    shared = refit.prepare(o, SerialMapper())
    calls = []
    evaluate = functional.evaluate_objective
    monkeypatch.setattr(functional, "evaluate_objective", lambda *args: (calls.append(1), evaluate(*args))[1])
    found = refit.refit(o, shared, torch.tensor([3]), 0)
    assert found.evaluations == len(calls) > 1


def test_a_budget_that_is_too_small_is_said() -> None:
    o = problem("mlp").objective
    found = refitted(Proximal(1e-3, tolerance=1e-12, max_evaluations=1), o, [7])
    assert not found.converged
    assert found.evaluations <= 2
    enough = refitted(Proximal(1e-3, tolerance=1e-12, max_evaluations=200), o, [7])
    assert enough.gradient_norm < found.gradient_norm


def test_the_proximal_refit_of_a_quadratic_takes_one_step() -> None:
    """The shared factor with its correction is the exact Hessian without the example."""
    found = refitted(Proximal(0.01), problem("ridge").objective, [7])
    assert found.converged
    assert found.evaluations <= 2


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_a_proximal_term_is_positive(strength: float) -> None:
    with pytest.raises(ValueError, match=r"strength must be positive.* use Converged"):
        Proximal(strength)


def test_controls_of_refits_from_the_checkpoint_are_the_checkpoint() -> None:
    o = problem("mlp").objective
    for refit in (Proximal(), Converged(stationary=1.0)):
        control = refit.control(o, refit.prepare(o, SerialMapper()), 0)
        assert torch.equal(control.theta, o.theta)
        assert control.converged


def at_minimum(name: str, objective: str = "mean") -> Objective:
    o = problem(name, objective, count=30).objective
    return replace(o, theta=oracles.minimum(lambda t: oracles.total(o, t), o.theta)[0])


@pytest.mark.parametrize("removed", SETS)
@pytest.mark.parametrize(("name", "objective"), [("logistic-2", "mean"), ("logistic-3", "sum"), ("poisson", "mean")])
def test_the_converged_refit_is_the_minimum_that_scipy_finds(name: str, objective: str, removed: list[int]) -> None:
    o = at_minimum(name, objective)
    found = refitted(Converged(tolerance=1e-9), o, removed)
    best, _ = oracles.minimum(lambda t: oracles.total(o, t, oracles.without(30, *removed)), o.theta)
    assert found.converged
    assert float(found.theta.sub(o.theta).norm()) > 1e-3
    x = o.train.take(slice(None))
    outputs = [o.task.predict(theta, x).softmax(1) for theta in (found.theta, best)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-7)
    if name == "poisson":
        torch.testing.assert_close(found.theta, best, rtol=1e-7, atol=1e-8)


def test_the_converged_refit_refuses_a_model_that_is_not_at_a_minimum() -> None:
    o = problem("shared").objective
    norm = float(oracles.gradient(lambda t: oracles.total(o, t), o.theta).norm())
    with pytest.raises(ValueError, match=r"not at a minimum: its gradient norm is .*Train it to convergence") as caught:
        Converged().prepare(o, SerialMapper())
    assert f"{norm:.2g}" in str(caught.value)
    Converged(stationary=1.1 * norm).prepare(o, SerialMapper())


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_the_converged_refit_of_ridge_regression_is_the_closed_form(objective: str) -> None:
    o = problem("ridge", objective).objective
    o = replace(o, theta=oracles.ridge(o))
    found = refitted(Converged(tolerance=1e-10), o, [5, 6])
    torch.testing.assert_close(found.theta, oracles.ridge(o, oracles.without(24, 5, 6)), rtol=1e-8, atol=1e-9)


def test_damped_influence_predicts_the_proximal_refit() -> None:
    p = problem("mlp", count=60)
    o = p.objective
    first = wh.InfluenceFunction(wh.Dense(), damping=0.3).fit(p.task, p.train).parameter_change([4, 9]).values
    moved = [(refitted(Proximal(0.3), o, [i]).theta - o.theta).numpy() for i in (4, 9)]
    assert np.linalg.norm(first - moved) < 0.1 * np.linalg.norm(moved)

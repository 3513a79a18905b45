"""Newton and Adam: where they stop, and step by step against torch's own Adam."""

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
from whence.gradients import functional
from whence.objective import Objective
from whence.retraining.adam import Adam
from whence.retraining.newton import Newton


def gradient_norm(o: Objective, theta: Tensor, weights: Tensor | None = None) -> float:
    return float(oracles.gradient(lambda t: oracles.total(o, t, weights), theta).norm())


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("name", ["logistic-3", "mlp", "conv", "shared"])
def test_newton_reaches_its_tolerance(name: str, objective: str) -> None:
    o = problem(name, objective).objective
    o = replace(o, theta=o.theta + 0.2 * torch.sin(torch.arange(len(o.theta)).double()))
    found = Newton(tolerance=1e-9, refresh=10).train(o)
    assert found.converged
    assert gradient_norm(o, found.theta) < 1.05e-9
    assert found.gradient_norm <= 1e-9
    assert float(oracles.total(o, found.theta)) < float(oracles.total(o, o.theta))


def test_newton_with_weights_is_newton_on_the_rest() -> None:
    o = problem("logistic-2", count=30).objective
    weights = oracles.without(30, 2, 5)
    found = Newton(tolerance=1e-10).train(o, weights)
    rest = Newton(tolerance=1e-10).train(o.over(o.train[np.flatnonzero(weights)]))
    assert found.converged
    assert rest.converged
    x = o.train.take(slice(None)).inputs
    torch.testing.assert_close(*(x @ t.theta[:8].reshape(2, 4).T for t in (found, rest)), rtol=1e-6, atol=1e-7)


def test_newton_counts_its_gradients_and_says_when_they_did_not_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    o = problem("dict").objective
    calls = []
    evaluate = functional.evaluate_objective
    monkeypatch.setattr(functional, "evaluate_objective", lambda *args: (calls.append(1), evaluate(*args))[1])
    found = Newton(max_evaluations=4).train(o)
    assert not found.converged
    assert found.evaluations == len(calls) <= 5


def test_newton_renews_its_factor_where_it_stands() -> None:
    """A convex loss whose curvature changes on the way: with a new factor a step this is Newton's method."""
    o = problem("poisson").objective
    o = replace(o, theta=o.theta + 1.5)
    fresh, stale = (Newton(tolerance=1e-9, refresh=refresh, ridge=0.0).train(o) for refresh in (1, 10_000))
    assert fresh.converged
    assert fresh.evaluations < 0.8 * stale.evaluations
    torch.testing.assert_close(fresh.theta, stale.theta, rtol=1e-7, atol=1e-8)


def torch_adam(o: Objective, recipe: Adam, order: list[Any], weights: Tensor | None = None) -> Tensor:
    """The same batches through ``torch.optim.Adam``, with weight decay on weights only."""
    named = {name: piece.clone().requires_grad_() for name, piece in o.task.layout.unflatten(o.theta).items()}
    decay = float(o.task.coefficients.max())
    groups = [
        {"params": [p for p in named.values() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in named.values() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.moments)
    for step, positions in enumerate(order):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        optimizer.zero_grad()
        batch = o.train.take(positions)
        losses = o.task.loss(o.task.predict(o.task.layout.flatten(named), batch), batch)
        w = torch.ones(len(batch)).double() if weights is None else weights[positions]
        ((w * losses).sum() / w.sum() if o.mean else o.count / len(batch) * (w * losses).sum()).backward()
        optimizer.step()
    return o.task.layout.flatten(named).detach()


RECIPES = [
    pytest.param(Adam(steps=25, batch_size=7, learning_rate=0.02), id="constant"),
    pytest.param(Adam(steps=25, batch_size=100, learning_rate=0.02, moments=(0.8, 0.99)), id="whole-batches"),
    pytest.param(Adam(steps=25, batch_size=7, learning_rate=0.02, drops=((10, 0.1), (20, 0.01))), id="drops"),
    pytest.param(Adam(steps=25, batch_size=7, learning_rate=0.05, schedule="one-cycle"), id="one-cycle"),
]


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_adam_is_torchs_adam(recipe: Adam, objective: str) -> None:
    o = problem("mlp", objective).objective
    order = list(recipe._order(o.count, seed=3))
    for weights in (None, torch.linspace(0.1, 2, 24).double()):
        found = recipe.train(o, weights, seed=3)
        torch.testing.assert_close(found.theta, torch_adam(o, recipe, order, weights), rtol=1e-8, atol=1e-10)
        assert found.gradient_norm == pytest.approx(gradient_norm(o, found.theta, weights), rel=1e-6)
        assert found.evaluations == pytest.approx(25 * min(recipe.batch_size, 24) / 24)


def test_adam_takes_small_weights_as_they_are() -> None:
    """Σ w ℓ / Σ w of a batch does not depend on the scale of w."""
    o = problem("mlp").objective
    recipe = Adam(steps=5, batch_size=4, learning_rate=0.02)
    weights = torch.linspace(0.5, 2, 24).double()
    torch.testing.assert_close(recipe.train(o, weights).theta, recipe.train(o, 1e-3 * weights).theta)


def test_the_order_is_an_epoch_of_each_example_once() -> None:
    order = list(Adam(steps=7, batch_size=6)._order(24, seed=1))
    assert len(order) == 7
    assert sorted(np.concatenate(order[:4]).tolist()) == list(range(24))
    assert all(np.array_equal(a, b) for a, b in zip(order, Adam(steps=7, batch_size=6)._order(24, seed=1), strict=True))
    assert not np.array_equal(order[0], next(Adam(steps=7, batch_size=6)._order(24, seed=2)))


def test_rates() -> None:
    drops = Adam(steps=10, learning_rate=0.5, drops=((4, 0.1), (8, 0.01)))
    assert [drops.rate(step) for step in (0, 3, 4, 7, 8, 9)] == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005, 0.005])
    cycle = Adam(steps=100, learning_rate=1.0, schedule="one-cycle")
    rates = [cycle.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == rates[30] == pytest.approx(1)
    assert rates == sorted(rates[:30]) + sorted(rates[30:], reverse=True)
    assert rates[-1] < 1e-3


NEVER = [  # Newton's preconditioner knows all examples, so its path may differ, not a minimum that is unique
    (Adam(steps=30, batch_size=5, learning_rate=0.05), "mlp"),
    (Newton(tolerance=1e-12), "poisson"),
]


@pytest.mark.parametrize(("recipe", "name"), NEVER)
@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_an_example_of_weight_zero_never_contributes(recipe: Any, name: str, objective: str) -> None:
    """Its features and target may be anything; only for the others does that matter."""
    p = problem(name, objective)
    batch = p.train.take(slice(None))
    x, y = batch.inputs.clone(), batch.targets.clone()
    x[5], y[5] = 3.0, 2 - y[5]
    other = replace(p.objective, train=wh.as_examples((x, y)))
    weights = oracles.without(24, 5)
    first, second = recipe.train(p.objective, weights, 0), recipe.train(other, weights, 0)
    torch.testing.assert_close(first.theta, second.theta, rtol=1e-9, atol=1e-11)
    changed = recipe.train(other, oracles.without(24, 6), 0).theta
    assert not torch.allclose(changed, recipe.train(p.objective, oracles.without(24, 6), 0).theta, rtol=1e-3)


def test_adam_goes_on_from_its_state_as_if_it_had_not_stopped() -> None:
    o = problem("mlp").objective
    whole = Adam(steps=8, batch_size=24, learning_rate=0.02)
    half = whole.for_steps(4, 0.02)
    first = half.train(o)
    second = half.train(o.at(first.theta), state=first.state)
    torch.testing.assert_close(second.theta, whole.train(o).theta, rtol=1e-12, atol=1e-14)
    assert int(second.state["step"]) == 8
    assert not torch.allclose(half.train(o.at(first.theta)).theta, second.theta)
    assert float(first.state["first"].norm()) > 0


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 1, "batch_size": 0}, {"steps": 1, "learning_rate": 0.0}])
def test_adam_options(options: Any) -> None:
    with pytest.raises(ValueError, match=r"must be (at least 1|positive)"):
        Adam(**options)

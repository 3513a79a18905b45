"""Law: a score in loss units is the effect of a refit: exactly where that is claimed, to first order elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cases
import oracles
import whence as wh
from problems import Problem, problem
from whence.objective import objective_of

EXACT = cases.where(lambda method: method.exact_for_ridge)
FIRST_ORDER = cases.where(lambda m: m.loss_units and not (m.exact_for_ridge or m.samples or m.trained or m.rough))


def at_the_minimum(objective: str, copies: int = 1) -> Problem:
    """Ridge regression at its closed-form minimum, on ``copies`` of 24 examples."""
    p = problem("ridge", objective)
    batch = p.train.take(slice(None))
    train = wh.as_examples((batch.inputs.repeat(copies, 1), batch.targets.repeat(copies)))
    decay = 0.05 if objective == "mean" else 1.2 * copies
    task = wh.Regression(nn.Linear(4, 1, dtype=torch.float64), weight_decay=decay, objective=objective)
    place(task, oracles.ridge(objective_of(task, train)))
    return Problem(task, train, p.queries)


def place(task: wh.Regression, theta: Tensor) -> None:
    for name, value in task.layout.unflatten(theta).items():
        task.module.get_parameter(name).data.copy_(value)


def closed_form(p: Problem) -> tuple[Tensor, Tensor]:
    """(effects [query, train], parameter changes [train, parameter]) from one set of normal equations a removal."""
    o = p.objective
    batch = p.queries.take(slice(None))

    def losses(theta: Tensor) -> Tensor:
        return (batch.inputs @ theta[:4] + theta[4] - batch.targets).square()

    refitted = [oracles.ridge(o, oracles.without(o.count, i)) for i in range(o.count)]
    effects = torch.stack([losses(theta) - losses(o.theta) for theta in refitted], 1)
    return effects, torch.stack(refitted) - o.theta


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("method", EXACT)
def test_exact_for_ridge_regression(method: cases.Method, objective: str) -> None:
    p = at_the_minimum(objective)
    effects, changes = closed_form(p)
    explainer = replace(method.attributor, damping=0.0).fit(p.task, p.train)
    np.testing.assert_allclose(explainer.attribute(p.queries), effects, atol=1e-8 * float(effects.abs().max()))
    moved = explainer.parameter_change(p.train.ids)
    np.testing.assert_allclose(moved, changes, atol=1e-8 * float(changes.abs().max()))
    own = explainer.self_influence()
    assert bool((own > 0).all()), "the loss of an example rises when it is left out"


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("method", FIRST_ORDER)
def test_first_order_errors_shrink_with_the_square_of_n(method: cases.Method, objective: str) -> None:
    errors = []
    for copies in (2, 8):
        p = at_the_minimum(objective, copies)
        effects, changes = closed_form(p)
        explainer = replace(method.attributor, damping=0.0).fit(p.task, p.train)
        scores = explainer.attribute(p.queries)
        assert np.corrcoef(scores.values.ravel(), effects.ravel())[0, 1] > 0.99
        assert float(abs(scores - effects.numpy()).max()) < 0.25 * float(effects.abs().max())
        moved = explainer.parameter_change(p.train.ids)
        errors.append([float(abs(scores - effects.numpy()).max()), float(abs(moved - changes.numpy()).max())])
    shrunk = np.array(errors[0]) / np.array(errors[1])
    # 4 times the examples, 16 times smaller errors; the effects themselves are 4 times smaller
    assert np.all((shrunk > 12) & (shrunk < 22))


@pytest.mark.parametrize("name", ["logistic-2", "logistic-3"])
def test_nearly_exact_for_logistic_regression(name: str) -> None:
    """True refits by scipy: the leverage correction is right to some percent, and closer than first order."""
    p = problem(name, count=60, decay=0.1)
    o = p.objective
    best, norm = oracles.minimum(lambda theta: oracles.total(o, theta), o.theta)
    assert norm < 1e-12
    task = wh.Classification(nn.Linear(4, len(best) // 5, dtype=torch.float64), weight_decay=0.1)
    place(task, best)
    refitted = []
    for i in range(60):
        theta, norm = oracles.minimum(lambda t, i=i: oracles.total(o, t, oracles.without(60, i)), best)
        assert norm < 1e-12
        refitted.append(theta)
    truth = oracles.measured_along(objective_of(task, p.train), p.queries, torch.stack(refitted) - best).numpy()

    def error(method: Any) -> float:
        found = method.fit(task, p.train).attribute(p.queries).values
        return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))

    corrected, plain = (make(wh.Eigen(), damping=0.0) for make in (wh.ApproximateLeaveOneOut, wh.InfluenceFunction))
    assert error(corrected) < 0.05
    assert error(corrected) < 0.5 * error(plain)

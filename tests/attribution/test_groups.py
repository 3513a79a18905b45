"""Effects of groups against explicit inverses, exact refits of ridge regression, and proximal refits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oracles
import whence as wh
from problems import Problem, problem
from whence.objective import objective_of
from whence.retraining import Proximal, leave_out

GROUPS = {"three": [2, 11, 17], "one": [5], "many": [0, 1, 4, 6, 9, 13, 20, 22]}
ORDERS = ("first", "second", "newton")


def by_inverses(p: Problem, order: str, kind: str, damping: float) -> Tensor:
    """Δ [group, parameter] by dense matrices of the examples that stay."""
    o = p.objective
    size = damping * torch.eye(len(o.theta)).double()
    whole = oracles.curvature(o, kind)
    own = oracles.example_gradients(p.task, o.theta, p.train)
    found = []
    for ids in GROUPS.values():
        rest = np.setdiff1d(np.arange(24), ids)
        stays = oracles.curvature(o.over(p.train[rest]), kind)
        pull = ((own[ids] - own.mean(0)) / len(rest)).sum(0) if o.mean else own[ids].sum(0)
        first = torch.linalg.solve(whole + size, pull)
        second = first - torch.linalg.solve(whole + size, (stays - whole) @ first)
        newton = torch.linalg.solve(stays + size, pull)
        found.append({"first": first, "second": second, "newton": newton}[order])
    return torch.stack(found)


@pytest.mark.parametrize("solver", [wh.Dense(), wh.ConjugateGradient(tolerance=1e-10), wh.Eigen()])
@pytest.mark.parametrize(("name", "objective"), [("mlp", "mean"), ("conv", "sum"), ("dict", "mean")])
@pytest.mark.parametrize("order", ORDERS)
def test_each_order_equals_explicit_inverses(order: Any, name: str, objective: str, solver: Any) -> None:
    p = problem(name, objective)
    kind = "gauss-newton" if name == "dict" else "hessian"
    damping = 2.0 if objective == "sum" else 0.3  # without eight examples the curvature of a sum is less than it was
    changes = by_inverses(p, order, kind, damping)
    found = wh.GroupInfluence(order, solver, damping, kind).fit(p.task, p.train).effect(GROUPS, p.queries)
    o = p.objective
    asked = oracles.example_gradients(p.task, o.theta, p.queries, "measure")
    expected = changes @ asked.T
    if order == "newton":
        losses = [[oracles.value(p.task, o.theta + d, p.queries, q) for q in range(5)] for d in changes]
        before = [oracles.value(p.task, o.theta, p.queries, q) for q in range(5)]
        expected = (torch.tensor(losses) - torch.tensor(before)).double()
    tolerance = 1e-6 * float(expected.abs().max())
    np.testing.assert_allclose(found["effect"][:, :, 0], expected, rtol=1e-6, atol=tolerance)
    np.testing.assert_allclose(found["distance"][:, 0], changes.norm(dim=1), rtol=1e-6)
    assert found["removed"].values.tolist() == list(GROUPS)
    assert found["member"].sum("train").values.tolist() == [3, 1, 8]
    assert bool(found["converged"].all())
    assert found.attrs["solver"]["converged"] is True


def test_a_group_of_one_is_influence_and_first_order_is_a_scaled_sum() -> None:
    p = problem("mlp")
    single = wh.InfluenceFunction(wh.Dense(), 0.1).fit(p.task, p.train).attribute(p.queries)
    found = wh.GroupInfluence("first", wh.Dense(), 0.1).fit(p.task, p.train).effect(GROUPS, p.queries)["effect"]
    for name, ids in GROUPS.items():
        total = single.sel(train=ids).sum("train") * 23 / (24 - len(ids))
        np.testing.assert_allclose(found.sel(removed=name)[:, 0], total, rtol=1e-8)


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_newton_is_exact_for_ridge_regression(objective: str) -> None:
    p = problem("ridge", objective)
    task = wh.Regression(nn.Linear(4, 1, dtype=torch.float64), weight_decay=0.05, objective=objective)  # type: ignore[arg-type]
    best = oracles.ridge(objective_of(task, p.train))
    for name, value in task.layout.unflatten(best).items():
        task.module.get_parameter(name).data.copy_(value)
    o = objective_of(task, p.train)
    refitted = [oracles.ridge(o, oracles.without(24, *ids)) for ids in GROUPS.values()]
    batch = p.queries.take(slice(None))

    def losses(theta: Tensor) -> Tensor:
        return (batch.inputs @ theta[:4] + theta[4] - batch.targets).square()

    truth = torch.stack([losses(theta) - losses(best) for theta in refitted])
    errors = []
    for order in ORDERS:
        method = wh.GroupInfluence(order, wh.Dense(), 0.0)  # type: ignore[arg-type]
        effect = method.fit(task, p.train).effect(GROUPS, p.queries)["effect"].values[:, :, 0]
        errors.append(float(np.abs(effect - truth.numpy()).max() / truth.abs().max()))
    assert errors[2] < 1e-8
    assert errors[1] < errors[0]


def test_higher_orders_are_nearer_to_proximal_refits_of_groups() -> None:
    p = problem("mlp", count=60)
    generator = np.random.default_rng(3)
    groups = {f"g{k}": generator.choice(60, 9, replace=False).tolist() for k in range(12)}
    truth = leave_out(p.task, p.train, p.queries, groups, Proximal(0.1))
    assert bool(truth["converged"].all())
    errors = []
    for order in ORDERS:
        predicted = wh.GroupInfluence(order, wh.Dense(), 0.1).fit(p.task, p.train).effect(groups, p.queries)  # type: ignore[arg-type]
        difference = (predicted["effect"] - truth["effect"]).values
        errors.append(float(np.linalg.norm(difference) / np.linalg.norm(truth["effect"])))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.5 * errors[0]


def test_what_cannot_be_asked_is_refused() -> None:
    p = problem("mlp")
    matrix = wh.Hessian(p.objective)
    with pytest.raises(ValueError, match="needs the curvature by name"):
        wh.GroupInfluence("second", curvature=matrix)
    with pytest.raises(ValueError, match="order must be one of"):
        wh.GroupInfluence("third")  # type: ignore[arg-type]
    explainer = wh.GroupInfluence("first", wh.Dense(), curvature=matrix).fit(p.task, p.train)
    for groups, words in (({}, "no groups"), ({"a": []}, "holds 0 of 24"), ({"a": range(24)}, "holds 24 of 24")):
        with pytest.raises(ValueError, match=words):
            explainer.effect(groups, p.queries)
    with pytest.raises(KeyError, match="no example has the id"):
        explainer.effect({"a": [99]}, p.queries)


def test_too_few_iterations_are_said() -> None:
    p = problem("mlp")
    solver = wh.ConjugateGradient(max_iterations=1, preconditioner="none")
    found = wh.GroupInfluence("second", solver, 0.1).fit(p.task, p.train).effect(GROUPS, p.queries)
    assert not bool(found["converged"].any())
    assert found.attrs["solver"]["converged"] is False
    assert replace(wh.GroupInfluence(), damping="auto").fit(p.task, p.train).damping >= 0

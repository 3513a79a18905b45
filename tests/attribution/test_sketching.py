"""Influence sketching against statsmodels' Cook's distances, and against a matrix of its own for each example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from torch import nn

import oracles
import whence as wh
from problems import poisson, problem
from whence.attribution.projection import Projection

FULL = pytest.mark.filterwarnings("ignore:influence sketching. in 5 dimensions:RuntimeWarning")


def at(task: Any, theta: torch.Tensor) -> None:
    for name, value in task.layout.unflatten(theta).items():
        task.module.get_parameter(name).data.copy_(value)


@FULL
@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_in_all_dimensions_it_is_cooks_distance(objective: Any) -> None:
    p = problem("ridge")
    batch = p.train.take(slice(None))
    task = wh.Regression(nn.Linear(4, 1).double().eval(), objective=objective)
    design = np.concatenate([batch.inputs.numpy(), np.ones((24, 1))], 1)
    fit = sm.OLS(batch.targets.numpy(), design).fit()
    at(task, torch.from_numpy(fit.params))
    found = wh.InfluenceSketching(5).fit(task, p.train).self_influence()
    expected = fit.get_influence().cooks_distance[0] * 2 * fit.mse_resid
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@FULL
def test_in_all_dimensions_it_is_the_generalised_distance_of_a_poisson_regression() -> None:
    p = problem("poisson", count=60)
    batch = p.train.take(slice(None))
    design = np.concatenate([batch.inputs.numpy(), np.ones((60, 1))], 1)
    fit = sm.GLM(batch.targets.numpy(), design, family=sm.families.Poisson()).fit(tol=1e-14)
    task = poisson(nn.Linear(4, 1).double().eval())
    at(task, torch.from_numpy(fit.params))
    scores = wh.InfluenceSketching(5).fit(task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores[0], fit.get_influence().cooks_distance[0], rtol=1e-6)
    np.testing.assert_allclose(scores[1], scores[0])
    assert scores.attrs["quantity"] == "generalised Cook's distance in a projection"
    assert "says nothing of help or harm" in scores.attrs["sign"]


@pytest.mark.parametrize(("name", "objective"), [("mlp", "mean"), ("conv", "sum"), ("bilinear", "mean")])
def test_it_equals_a_step_with_a_matrix_of_its_own_for_each_example(name: str, objective: str) -> None:
    p = problem(name, objective)
    o, size = p.objective, p.task.layout.size
    drawn = next(Projection(size, 7, 2, "rademacher").down([(slice(0, size), torch.eye(size).double())]))
    own = oracles.example_gradients(p.task, o.theta, p.train)
    pulls = (own - own.mean(0) if objective == "mean" else own) @ drawn
    squares = []
    for i, jacobian in enumerate(oracles.example_jacobians(p.task, o.theta, p.train)):
        squares.append(drawn.T @ jacobian.T @ oracles.output_curvature(p.task, o.theta, p.train, i) @ jacobian @ drawn)
    scale = 24 if objective == "mean" else 1
    penalty = scale * (drawn.T @ torch.diag(p.task.coefficients) @ drawn + 0.02 * torch.eye(7).double())
    whole = torch.stack(squares).sum(0) + penalty
    expected = []
    for square, pull in zip(squares, pulls, strict=True):
        step = torch.linalg.solve(whole - square, pull)
        expected.append(float(step @ whole @ step) / size)
    found = wh.InfluenceSketching(7, "rademacher", 0.02, seed=2).fit(p.task, p.train).self_influence()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_sketch_ranks_as_the_distance_itself_does() -> None:
    """A hundred parameters in forty dimensions, averaged over seeds."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        x = torch.randn(500, 100).double() * torch.logspace(0, -2, 100)
        y = x @ torch.randn(100).double() + torch.randn(500).double()
        y[:5] += 8.0
    design = np.concatenate([x.numpy(), np.ones((500, 1))], 1)
    fit = sm.OLS(y.numpy(), design).fit()
    task = wh.Regression(nn.Linear(100, 1).double().eval())
    at(task, torch.from_numpy(fit.params))
    found = [wh.InfluenceSketching(40, seed=seed).fit(task, (x, y)).self_influence().values for seed in range(3)]
    exact = fit.get_influence().cooks_distance[0]
    assert set(np.argsort(-np.mean(found, 0))[:5].tolist()) == set(np.argsort(-exact)[:5].tolist()) == set(range(5))
    assert np.corrcoef(np.log(np.mean(found, 0)), np.log(exact))[0, 1] > 0.9


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension must be at least 1"):
        wh.InfluenceSketching(0)
    with pytest.raises(ValueError, match="ridge must not be negative"):
        wh.InfluenceSketching(3, ridge=-0.1)
    p = problem("ridge", decay=0.0)
    with pytest.raises(ValueError, match="do not span 9 dimensions"):
        wh.InfluenceSketching(9).fit(p.task, p.train)

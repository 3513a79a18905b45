"""The influence of a training input against finite differences of refits with that input changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oracles
import whence as wh
from problems import Problem, problem
from whence.examples import Examples
from whence.objective import objective_of


def placed(p: Problem, theta: Tensor) -> Any:
    """The problem's task at θ."""
    task = p.task.frozen()
    for name, value in task.layout.unflatten(theta).items():
        task.module.get_parameter(name).data.copy_(value)
    task.module.requires_grad_(True)
    return task


def with_input(p: Problem, position: int, place: tuple[int, ...], step: float) -> Examples:
    batch = p.train.take(slice(None))
    inputs = batch.inputs.clone()
    inputs[(position, *place)] += step
    return wh.as_examples((inputs, batch.targets))


@pytest.mark.parametrize(("name", "objective"), [("logistic-3", "mean"), ("ridge", "sum"), ("mlp", "mean")])
def test_it_is_the_derivative_of_a_refit(name: str, objective: str) -> None:
    """Proximal refits for the network, whose damped answer they are; plain minima for convex models."""
    p = problem(name, objective)
    damping = 0.1 if name == "mlp" else 0.0
    best = (
        p.objective.theta if damping else oracles.minimum(lambda t: oracles.total(p.objective, t), p.objective.theta)[0]
    )
    task = placed(p, best)
    o = objective_of(task, p.train)
    linear = oracles.gradient(lambda t: oracles.total(o, t), best)

    def refitted(train: Examples) -> Tensor:
        there = objective_of(task, train)

        def fn(theta: Tensor) -> Tensor:
            step = theta - best
            prox = damping / 2 * step.square().sum() - (linear @ step if damping else 0.0)
            return oracles.total(there, theta) + prox

        return oracles.minimum(fn, best)[0]

    explainer = wh.InfluenceFunction(wh.Eigen(), damping).fit(task, p.train)
    found = wh.input_influence(explainer, p.queries, [4, 9])
    assert found.dims == ("query", "train", "input_0")
    h = 1e-4
    for i in (4, 9):
        for j in range(4):
            up, down = (refitted(with_input(p, i, (j,), step)) for step in (h, -h))
            for q in range(5):
                slope = oracles.value(task, up, p.queries, q) - oracles.value(task, down, p.queries, q)
                expected = float(slope) / (2 * h)
                got = float(found.sel(train=i)[q, j])
                assert got == pytest.approx(expected, rel=2e-4, abs=2e-5 * float(abs(found).max())), (i, j, q)


def test_images_keep_their_shape_and_units_are_said() -> None:
    p = problem("conv")
    explainer = wh.InfluenceFunction(wh.Dense(), 0.1).fit(p.task, p.train)
    found = wh.input_influence(explainer, p.queries, [3, 7, 1])
    assert found.dims == ("query", "train", "input_0", "input_1", "input_2")
    assert found.shape == (5, 3, 1, 6, 6)
    assert found["train"].values.tolist() == [3, 7, 1]
    assert found.attrs["quantity"] == "change in loss per unit of the training input"
    assert found.attrs["unit"] == "nats per input unit"
    o = p.objective
    asked = oracles.example_gradients(p.task, o.theta, p.queries)
    solved = torch.linalg.solve(oracles.objective_hessian(o) + 0.1 * torch.eye(len(o.theta)).double(), asked.T)
    batch = oracles.one(p.train, 7)

    def pulled(x: Tensor) -> Tensor:
        gradient = torch.autograd.functional.jacobian(
            lambda t: p.task.loss(p.task.predict(t, type(batch)(x, batch.targets)), batch)[0],
            o.theta,
            create_graph=True,
        )
        return -gradient @ solved / 24

    expected = torch.autograd.functional.jacobian(pulled, batch.inputs)
    np.testing.assert_allclose(found.sel(train=7), expected.reshape(5, 1, 6, 6), rtol=1e-8, atol=1e-12)


def test_inputs_that_cannot_change_are_refused() -> None:
    p = problem("dict")
    explainer = wh.InfluenceFunction(wh.Dense(), 0.1).fit(p.task, p.train)
    with pytest.raises(ValueError, match="not one tensor of real numbers"):
        wh.input_influence(explainer, p.queries, 3)
    p = problem("mlp")
    with pytest.raises(TypeError, match="input influence is of InfluenceFunction"):
        wh.input_influence(wh.Loss().fit(p.task, p.train), p.queries, 3)
    with pytest.raises(KeyError, match="no example has the id"):
        wh.input_influence(wh.InfluenceFunction(wh.Dense(), 0.1).fit(p.task, p.train), p.queries, 99)
    words = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2)).double().eval()
    train = (torch.arange(12).reshape(6, 2) % 5, torch.arange(6) % 2)
    explainer = wh.InfluenceFunction(wh.Dense(), 1.0).fit(wh.Classification(words), train)
    with pytest.raises(ValueError, match="not one tensor of real numbers"):
        wh.input_influence(explainer, train, 3)

"""SGD-influence against the same run without each example, and against its derivative in the example's weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import oracles
import whence as wh
from problems import Problem, problem
from whence.objective import Objective
from whence.retraining import SGD, FromScratch, leave_out
from whence.retraining.sgd import Recording


def start(o: Objective) -> Tensor:
    return 0.4 * torch.cos(3 * torch.arange(len(o.theta))).double()


def ended(p: Problem, recipe: SGD, every: int = 1) -> tuple[wh.Classification, Recording]:
    """The problem's task at the end of a recorded run."""
    run = recipe.record(p.objective.at(start(p.objective)), seed=4, every=every)
    task = p.task.frozen()
    for name, value in task.layout.unflatten(run.end).items():
        task.module.get_parameter(name).data.copy_(value)
    task.module.requires_grad_(True)
    return task, run


def replayed(p: Problem, run: Recording, weights: Tensor) -> Tensor:
    """θ at the end of the run with example weights, by autograd's own graph through all steps."""
    o = p.objective
    theta = run.thetas[0]
    for rate, ids in zip(run.rates, run.ids, strict=True):
        positions = p.train.positions(ids)
        batch, own = p.train.take(positions), weights[torch.from_numpy(positions)]
        if theta.requires_grad is False:
            theta = theta.clone().requires_grad_(True)
        losses = (own * o.task.loss(o.task.predict(theta, batch), batch)).sum()
        scale = 1 / own.sum() if o.mean else len(p.train) / len(positions)
        value = scale * losses + 0.5 * (o.task.coefficients * theta.square()).sum()
        theta = theta - rate * torch.autograd.grad(value, theta, create_graph=True)[0]
    return theta


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize(("name", "objective"), [("mlp", "mean"), ("bilinear", "sum"), ("conv", "mean")])
def test_for_a_sum_it_is_the_derivative_through_the_whole_run(name: str, objective: str, every: int) -> None:
    """∂m/∂w_i by backpropagation through all steps; a mean's removal is b/(b − 1) times that at each step."""
    p = problem(name, objective)
    recipe = SGD(11, batch_size=6, learning_rate=0.02, drops=((5, 0.5),))
    task, run = ended(p, recipe, every)
    assert len(run.thetas) == (12 if every == 1 else 4)
    weights = torch.ones(24, dtype=torch.float64, requires_grad=True)
    end = replayed(p, run, weights)
    np.testing.assert_allclose(end.detach(), run.end, rtol=1e-9, atol=1e-12)
    expected = []
    for q in range(5):
        measured = oracles.value(task, end, p.queries, q)
        expected.append(-torch.autograd.grad(measured, weights, retain_graph=True)[0])
    factor = 6 / 5 if objective == "mean" else 1.0
    scores = wh.SGDInfluence(run).fit(task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores, factor * torch.stack(expected), rtol=1e-7, atol=1e-12)
    assert scores.attrs["quantity"] == "change in loss"
    assert scores.attrs["options"]["steps"] == 11


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_it_predicts_the_run_without_each_example(objective: str) -> None:
    p = problem("mlp", objective, count=60)
    recipe = SGD(90, batch_size=10, learning_rate=0.05 if objective == "mean" else 0.001)
    task, run = ended(p, recipe)
    begun = p.objective.at(start(p.objective))
    before = torch.stack([oracles.value(task, run.end, p.queries, q) for q in range(5)])
    effects = []
    for i in range(60):
        end = recipe.train(begun, oracles.without(60, i), seed=4).theta
        effects.append(torch.stack([oracles.value(task, end, p.queries, q) for q in range(5)]) - before)
    truth = torch.stack(effects, 1).detach().numpy()
    scores = wh.SGDInfluence(run).fit(task, p.train).attribute(p.queries)
    for mine, actual in zip(scores.values, truth, strict=True):
        assert np.corrcoef(mine, actual)[0, 1] > 0.99
    assert np.linalg.norm(scores - truth) < 0.15 * np.linalg.norm(truth)


def test_its_truth_is_leave_out_from_scratch() -> None:
    p = problem("mlp", count=40)
    recipe = SGD(60, batch_size=8, learning_rate=0.05)
    task, _ = ended(p, recipe)

    def initialise(seed: int) -> torch.nn.Module:
        module = p.task.frozen().module
        for name, value in p.task.layout.unflatten(start(p.objective)).items():
            module.get_parameter(name).data.copy_(value)
        return module

    truth = leave_out(task, p.train, p.queries, p.train.ids[:15], FromScratch(recipe, initialise), seeds=(7,))
    run = recipe.record(p.objective.at(start(p.objective)), seed=7)
    there = task.frozen()
    for name, value in there.layout.unflatten(run.end).items():
        there.module.get_parameter(name).data.copy_(value)
    scores = wh.SGDInfluence(run).fit(there, p.train).attribute(p.queries)
    table = wh.agreement(scores, truth)
    assert table["pearson"].min() > 0.98


def test_a_batch_of_one_and_an_example_that_was_never_seen() -> None:
    p = problem("logistic-3", count=12)
    recipe = SGD(7, batch_size=1, learning_rate=0.1)
    task, run = ended(p, recipe)
    scores = wh.SGDInfluence(run).fit(task, p.train).attribute(p.queries)
    seen = {int(ids[0]) for ids in run.ids}
    never = [i for i in range(12) if i not in seen]
    assert never
    np.testing.assert_array_equal(scores.sel(train=never), 0)
    begun = p.objective.at(start(p.objective))
    last = int(run.ids[-1][0])
    end = recipe.train(begun, oracles.without(12, last), seed=4).theta
    step = replace(run, rates=run.rates[-1:], ids=run.ids[-1:], thetas=run.thetas[-2:])
    only = wh.SGDInfluence(step).fit(task, p.train).attribute(p.queries).sel(train=last)
    asked = oracles.example_gradients(task, run.end, p.queries)
    np.testing.assert_allclose(only, asked @ (end - run.end), rtol=1e-7)


def test_training_is_that_of_torch_and_a_recording_is_the_training() -> None:
    p = problem("mlp", count=20)
    recipe = SGD(9, batch_size=20, learning_rate=0.1, drops=((4, 0.1),))
    o = p.objective.at(start(p.objective))
    module = p.task.frozen().module.requires_grad_(True)
    for name, value in p.task.layout.unflatten(o.theta).items():
        module.get_parameter(name).data.copy_(value)
    groups = [{"params": [v], "weight_decay": 0.05 if v.ndim > 1 else 0.0} for v in module.parameters()]
    optimizer, batch = torch.optim.SGD(groups, lr=0.1), p.train.take(slice(None))
    for step in range(9):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(batch.inputs), batch.targets).backward()
        optimizer.step()
    expected = torch.cat([v.detach().reshape(-1) for v in module.parameters()])
    found = recipe.train(o, seed=1)
    np.testing.assert_allclose(found.theta, expected, rtol=1e-9)
    assert torch.equal(recipe.record(o, seed=1).end, found.theta)
    whole, sparse = (recipe.record(o, seed=1, every=every) for every in (1, 4))
    for (step, theta), (again, other) in zip(whole.backwards(o), sparse.backwards(o), strict=True):
        assert step == again
        np.testing.assert_allclose(other, theta, rtol=1e-12)


def test_a_recording_is_a_list_of_checkpoints_for_tracin() -> None:
    p = problem("mlp")
    task, run = ended(p, SGD(7, batch_size=6, learning_rate=0.1, drops=((4, 0.5),)), every=3)
    assert [rate for _, rate, _ in run.passed()] == pytest.approx([0.1, 0.2 / 3, 0.05])
    assert [steps for *_, steps in run.passed()] == [3, 3, 1]
    scores = wh.TracIn(run.passed()).fit(task, p.train).attribute(p.queries)
    total = np.zeros((5, 24))
    for theta, rate, steps in run.passed():
        own, asked = (oracles.example_gradients(task, theta, part) for part in (p.train, p.queries))
        total += rate * steps / 24 * (asked @ own.T).numpy()
    np.testing.assert_allclose(scores, total, rtol=1e-9, atol=1e-12)
    assert "without the recorded steps" in scores.attrs["quantity"]


def test_what_does_not_fit_is_refused() -> None:
    p = problem("mlp")
    recipe = SGD(4, batch_size=6)
    task, run = ended(p, recipe)
    with pytest.raises(ValueError, match="ended at other parameters"):
        wh.SGDInfluence(run).fit(p.task, p.train)
    with pytest.raises(KeyError, match="no example has the id"):
        wh.SGDInfluence(run).fit(task, p.train[:10])
    with pytest.raises(ValueError, match="every must be at least 1"):
        recipe.record(p.objective, every=0)
    with pytest.raises(ValueError, match="diverged"):
        SGD(60, learning_rate=1e9).record(p.objective)
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        SGD(4, learning_rate=0.0)
    with pytest.raises(ValueError, match="at least 1"):
        SGD(0)

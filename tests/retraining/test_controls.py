"""Refits whose control is a run of its own: effects are differences of two runs of the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import networks
import oracles
import whence as wh
from problems import problem
from whence.retraining.adam import Adam
from whence.retraining.continued import Continued
from whence.retraining.from_scratch import FromScratch
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton


def test_the_continued_refits_drift_is_subtracted() -> None:
    """A model that is still learning: an example that never mattered has no effect, though the loss falls."""
    p = problem("ridge", "sum")
    torch.manual_seed(0)
    task = wh.Regression(torch.nn.Linear(4, 1, dtype=torch.float64), weight_decay=0.1, objective="sum")
    batch = p.train.take(slice(None))
    x, y = batch.inputs.clone(), batch.targets.clone()
    x[6], y[6] = 0.0, 0.0  # its only gradient is in the bias, which does not move
    task.module.bias.data.zero_()
    task = wh.Regression(task.module, weight_decay=0.1, objective="sum", only=["weight"])
    train = wh.as_examples((x, y))
    refit = Continued(Adam(steps=20, batch_size=6, learning_rate=0.02))
    found = leave_out(task, train, p.queries, [6, 7], refit, seeds=(0, 1))
    assert found["effect"].dims == ("removed", "query", "seed")
    start, end = task.parameters(), refit.control(wh.objective.objective_of(task, train), {}, 0).theta
    queries = p.queries.take(slice(None))
    losses = [task.loss(task.predict(theta, queries), queries).detach() for theta in (start, end)]
    assert float((losses[1] - losses[0]).abs().max()) > 0.1
    np.testing.assert_allclose(found["effect"].sel(removed=6), 0, atol=1e-12)
    assert float(abs(found["effect"].sel(removed=7)).max()) > 1e-4
    assert not np.allclose(found["effect"].sel(removed=7, seed=0), found["effect"].sel(removed=7, seed=1))


def test_from_scratch_compares_runs_of_the_same_seed() -> None:
    p = problem("mlp")
    seen: list[int] = []

    def initialise(seed: int) -> Any:
        seen.append(seed)
        torch.manual_seed(seed)
        return networks.mlp().double()

    refit = FromScratch(Newton(tolerance=1e-8, max_evaluations=300), initialise)
    found = leave_out(p.task, p.train, p.queries, [2], refit, seeds=(4, 5))
    assert seen == [4, 5, 4, 5]
    assert found["seed"].values.tolist() == [4, 5]
    assert found.attrs["kind"] == "from_scratch"
    for seed in (4, 5):
        o = p.objective.at(wh.parameters.vector_of(initialise(seed), p.task.layout))
        runs = [refit.recipe.train(o, weights).theta for weights in (None, oracles.without(24, 2))]
        batch = p.queries.take(slice(None))
        before, after = (p.task.loss(p.task.predict(theta, batch), batch) for theta in runs)
        np.testing.assert_allclose(found["effect"].sel(removed=2, seed=seed), after - before, rtol=1e-6, atol=1e-9)


def test_from_scratch_refuses_another_architecture() -> None:
    p = problem("mlp")
    initialise: Callable[[int], Any] = lambda seed: networks.mlp(hidden=5).double()  # noqa: E731
    with pytest.raises(ValueError, match="initialise returned 43 parameters, the model has 35"):
        leave_out(p.task, p.train, p.queries, [2], FromScratch(Newton(), initialise))


def test_the_continued_refit_goes_on_with_the_optimisers_state() -> None:
    """Training that was cut in two, the second half without an example, equals torch's Adam with its moments kept."""
    p = problem("mlp")
    first = Adam(steps=5, batch_size=24, learning_rate=0.02)
    before = first.train(p.objective)
    there = p.objective.at(before.theta)
    refit = Continued(first.for_steps(3, 0.01), before.state)
    weights = oracles.without(24, 4)
    expected = refit.recipe.train(there, weights, 0, before.state).theta
    torch.testing.assert_close(refit.refit(there, {}, torch.tensor([4]), 0).theta, expected, rtol=0, atol=0)
    control = refit.recipe.train(there, None, 0, before.state).theta
    torch.testing.assert_close(refit.control(there, {}, 0).theta, control, rtol=0, atol=0)
    assert not torch.allclose(refit.recipe.train(there, weights, 0).theta, expected)

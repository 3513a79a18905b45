"""The objective's value and gradient against autograd and finite differences, with example weights and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import oracles
import whence as wh
from problems import NAMES, problem
from whence.gradients import functional
from whence.gradients.labels import checked_labels, labels_of

WEIGHTS = torch.tensor([0.0, 1.0, 0.5, 2.0] * 6, dtype=torch.float64)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient(name: str, objective: str) -> None:
    o = replace(problem(name, objective).objective, batch_size=5)
    theta = o.theta + 0.1 * torch.cos(torch.arange(len(o.theta), dtype=torch.float64))
    for weights in (None, WEIGHTS):
        found = functional.evaluate_objective(o, theta, weights)
        assert found.value == pytest.approx(float(oracles.total(o, theta, weights)), rel=1e-12)
        exact = oracles.gradient(lambda t, w=weights: oracles.total(o, t, w), theta)
        torch.testing.assert_close(found.gradient, exact, rtol=1e-9, atol=1e-11)
        rough = oracles.central_differences(lambda t, w=weights: oracles.total(o, t, w), theta)
        torch.testing.assert_close(found.gradient, rough, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_weight_zero_is_absence(objective: str) -> None:
    o = replace(problem("mlp", objective).objective, batch_size=5)
    kept = np.delete(np.arange(24), [3, 4, 17])
    without = functional.evaluate_objective(o, o.theta, oracles.without(24, 3, 4, 17))
    reduced = functional.evaluate_objective(o.over(o.train[kept]), o.theta)
    assert without.value == pytest.approx(reduced.value, rel=1e-12)
    torch.testing.assert_close(without.gradient, reduced.gradient, rtol=1e-9, atol=1e-12)


def test_batches_of_weight_zero_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    o = replace(problem("mlp").objective, batch_size=6)
    calls = []
    values = functional.values
    monkeypatch.setattr(functional, "values", lambda *args: (calls.append(len(args[2])), values(*args))[1])
    functional.evaluate_objective(o, o.theta, oracles.without(24, *range(6, 18)))
    assert calls == [6, 6]


@pytest.mark.parametrize("name", ["conv", "dict"])
def test_evaluate_and_outputs(name: str) -> None:
    p = problem(name, measure=lambda output, batch: output.reshape(len(batch), -1)[:, 0] ** 3)
    theta = p.task.parameters()
    for of in ("loss", "measure"):
        expected = torch.stack([oracles.value(p.task, theta, p.train, i, of) for i in range(24)]).detach()
        found = functional.evaluate(p.task, theta, p.train, of, 7)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    expected = torch.cat([p.task.predict(theta, oracles.one(p.train, i)) for i in range(24)]).detach()
    torch.testing.assert_close(functional.outputs(p.task, theta, p.train, 7), expected, rtol=1e-10, atol=1e-12)


def test_the_mean_gradient_is_that_of_the_losses_alone() -> None:
    p = problem("mlp")
    o = replace(p.objective, batch_size=5)
    own = oracles.example_gradients(p.task, o.theta, p.train)
    torch.testing.assert_close(functional.mean_gradient(o), own.mean(0), rtol=1e-8, atol=1e-12)
    assert float(own.mean(0).norm()) > 1e-3
    summed = problem("mlp", "sum").objective
    assert torch.equal(functional.mean_gradient(summed), torch.zeros_like(summed.theta))


def test_labels_of_many_outputs_show_the_first() -> None:
    p = problem("dict")
    labels = labels_of(p.objective, p.train)
    batch = p.train.take(slice(None))
    output = p.task.predict(p.task.parameters(), batch).detach()
    np.testing.assert_array_equal(labels.label, batch.targets[:, 0])
    np.testing.assert_allclose(labels.prediction, output[:, 0], rtol=1e-12)
    np.testing.assert_allclose(labels.loss, (output - batch.targets).square().mean(1), rtol=1e-12)


def test_labels_from_the_pass_that_checks_are_the_same() -> None:
    p = problem("mlp")
    expected, found = labels_of(p.objective, p.train), checked_labels(p.objective, p.train, "query")
    for name in ("ids", "label", "prediction", "loss"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    with pytest.raises(ValueError, match="the query set is empty"):
        checked_labels(p.objective, p.train[np.arange(0)], "query")


def test_labels_keep_the_precision_of_the_targets() -> None:
    targets = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    task = wh.Regression(torch.nn.Linear(2, 1))
    labels = wh.GradientDot().fit(task, (torch.ones(3, 2), targets)).train_labels.label
    np.testing.assert_array_equal(labels, targets)

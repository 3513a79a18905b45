"""scikit-learn's L-BFGS as a recipe: its optimum is that of our objective, with and without examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import oracles
import whence as wh
from problems import problem
from whence.objective import Objective, objective_of
from whence.retraining.lbfgs import LBFGS
from whence.retraining.newton import Newton

KINDS = [(k, bias, objective) for k in (2, 3) for bias in (True, False) for objective in ("mean", "sum")]


def linear(k: int, bias: bool, objective: str, **options: Any) -> Objective:
    p = problem(f"logistic-{k}", count=40)
    module = nn.Linear(4, k, bias=bias, dtype=torch.float64)
    decay = 0.1 if objective == "mean" else 4.0
    return objective_of(wh.Classification(module, weight_decay=decay, objective=objective, **options), p.train)


def logits(o: Objective, theta: Tensor) -> Tensor:
    """Outputs without their mean, which no loss depends on."""
    found = o.task.predict(theta, o.train.take(slice(None)))
    return found - found.mean(1, keepdim=True)


@pytest.mark.parametrize(("k", "bias", "objective"), KINDS)
def test_the_optimum_is_that_of_the_objective(k: int, bias: bool, objective: str) -> None:
    o = linear(k, bias, objective)
    for weights in (None, oracles.without(40, 0, 13), torch.linspace(0, 2, 40).double()):
        found = LBFGS().train(o, weights)
        norm = float(oracles.gradient(lambda t, w=weights: oracles.total(o, t, w), found.theta).norm())
        assert norm < (1e-6 if objective == "mean" else 1e-4)
        assert found.gradient_norm == pytest.approx(norm, rel=1e-3, abs=1e-12)
        assert found.converged
        best = Newton(tolerance=1e-10).train(o, weights)
        torch.testing.assert_close(logits(o, found.theta), logits(o, best.theta), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("k", "bias", "objective"), KINDS)
def test_removal_is_the_fit_to_the_rest(k: int, bias: bool, objective: str) -> None:
    o = linear(k, bias, objective)
    kept = np.delete(np.arange(40), [3, 21])
    removed = LBFGS(tolerance=1e-10).train(o, oracles.without(40, 3, 21))
    rest = LBFGS(tolerance=1e-10).train(o.over(o.train[kept]))
    torch.testing.assert_close(removed.theta, rest.theta, rtol=0, atol=1e-6)
    whole = LBFGS(tolerance=1e-10).train(o)
    assert float((removed.theta - whole.theta).norm()) > 1e-3


def test_too_few_iterations_are_said() -> None:
    assert not LBFGS(max_iterations=2).train(linear(3, True, "mean")).converged


def test_it_refuses_what_it_cannot_train() -> None:
    x, y = problem("mlp").train.source.inputs, problem("mlp").train.source.targets
    deep = objective_of(wh.Classification(networks.mlp().double(), weight_decay=0.1), wh.as_examples((x, y)))
    with pytest.raises(ValueError, match=r"trains a Classification task over one nn\.Linear"):
        LBFGS().train(deep)
    layer = nn.Linear(4, 3, dtype=torch.float64)
    for decay in (0.0, {"weight": 0.1, "bias": 0.1}):
        o = objective_of(wh.Classification(layer, weight_decay=decay), wh.as_examples((x, y)))
        with pytest.raises(ValueError, match="one positive weight_decay on all weights and none on the bias"):
            LBFGS().train(o)
    only = objective_of(wh.Classification(layer, weight_decay=0.1, only=["weight"]), wh.as_examples((x, y)))
    with pytest.raises(ValueError, match="bias"):
        LBFGS().train(only)
    o = linear(2, True, "mean")
    labels = o.train.take(slice(None)).targets
    with pytest.raises(ValueError, match="a class has no example left"):
        LBFGS().train(o, (labels == 0).double())

"""Law: the same question has the same answer, and asking it leaves no trace."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cases
from problems import problem


def trace(module: nn.Module) -> dict[str, Any]:
    """Everything of a module that a guest should leave as it was."""
    found: dict[str, Any] = {}
    for name, layer in module.named_modules():
        hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
        found[f"{name} hooks"] = [list(one) for one in hooks]
        found[f"{name} training"] = layer.training
    for name, parameter in module.named_parameters():
        found[name] = parameter.detach().clone().tolist(), id(parameter), parameter.requires_grad, parameter.grad
    return found


def dice() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  the global state is what must not change
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_the_same_twice(method: cases.Method) -> None:
    p = problem("shared")
    torch.manual_seed(11)
    explainer = method.fit(p)
    first, own = explainer.attribute(p.queries), explainer.self_influence()
    scale = float(abs(first).max())
    torch.manual_seed(12)
    np.random.seed(12)  # noqa: NPY002  as a user's script may
    np.testing.assert_allclose(explainer.attribute(p.queries), first, rtol=1e-9, atol=1e-12 * scale)
    torch.rand(7)
    again = method.fit(p)
    np.testing.assert_allclose(again.attribute(p.queries), first, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_allclose(again.self_influence(), own, rtol=1e-8, atol=1e-9 * scale)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_no_trace_is_left(method: cases.Method) -> None:
    p = problem("shared")
    before, rolled = trace(p.task.module), dice()
    inputs = p.train.take(slice(None)).inputs.clone()
    explainer = method.fit(p)
    explainer.attribute(p.queries)
    explainer.self_influence()
    assert trace(p.task.module) == before
    assert dice() == rolled
    assert torch.equal(p.train.take(slice(None)).inputs, inputs)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_training_the_model_further_does_not_change_what_was_fitted(method: cases.Method) -> None:
    p = problem("mlp", count=20)
    explainer = method.fit(p)
    expected = explainer.attribute(p.queries)
    kept = {name: tensor.clone() for name, tensor in p.task.module.state_dict().items()}
    try:
        with torch.no_grad():
            for parameter in p.task.module.parameters():
                parameter.add_(0.5)
        np.testing.assert_allclose(explainer.attribute(p.queries), expected, rtol=1e-9)
    finally:
        p.task.module.load_state_dict(kept)


def test_another_seed_is_another_draw() -> None:
    p = problem("mlp")
    random_scores = [cases.wh.Random(seed=seed).fit(p.task, p.train).attribute(p.queries) for seed in (0, 1)]
    assert abs(np.corrcoef(random_scores[0].values.ravel(), random_scores[1].values.ravel())[0, 1]) < 0.3
    assert float(random_scores[0].std()) == pytest.approx(1, abs=0.2)

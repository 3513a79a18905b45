"""Pair features against autograd, an explicit solve and the library's own influence restricted to the last layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import whence as wh
from whence.examples import Examples
from whence.predictor import Features, pair_features
from whence.predictor.last_layer import forward, gauss_newton


def problem(bias: bool = True, **options: Any) -> tuple[wh.Classification, Examples, Examples]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3, bias=bias)).double().eval()
    x, y = torch.randn(23, 5, dtype=torch.float64), torch.arange(23) % 3
    train, queries = wh.as_examples((x[:17], y[:17])), wh.as_examples((x[17:], y[17:]), ids=np.arange(100, 106))
    return wh.Classification(module, **{"weight_decay": 0.03} | options), queries, train


def gradients(task: wh.Classification, examples: Examples) -> torch.Tensor:
    """∇ℓ in the last layer's weight and bias by autograd [n, parameter], class by class."""
    layer, batch, rows = task.module[2], examples.take(slice(0, None)), []
    for x, y in zip(batch.inputs, batch.targets, strict=True):
        loss = nn.functional.cross_entropy(task.module(x[None]), y[None])
        pieces = torch.autograd.grad(loss, list(layer.parameters()))
        rows.append(torch.cat([piece.reshape(3, -1) for piece in pieces], 1).flatten())
    return torch.stack(rows)


@pytest.mark.parametrize("bias", [True, False])
def test_kernel_is_the_dot_product_of_gradients(bias: bool) -> None:
    task, queries, train = problem(bias)
    found = pair_features(task, queries, train)["gradient kernel"]
    expected = gradients(task, queries) @ gradients(task, train).T
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("bias", [True, False])
def test_preconditioned_kernel_is_influence_of_the_last_layer(bias: bool, objective: Any) -> None:
    task, queries, train = problem(bias, objective=objective, only=["2"])
    found = pair_features(task, queries, train, damping=0.02)["preconditioned kernel"]
    scores = wh.InfluenceFunction(wh.Dense(), 0.02, "gauss-newton").fit(task, train).attribute(queries)
    np.testing.assert_allclose(found, scores.values, rtol=1e-4, atol=1e-7)


def test_preconditioned_kernel_is_a_dense_solve() -> None:
    task, queries, train = problem()
    part = train[np.array([4, 1, 9])]
    layer, batch = task.module[2], train.take(slice(0, None))
    weight, bias = layer.weight.detach(), layer.bias.detach()

    def mean_loss(joined: torch.Tensor) -> torch.Tensor:
        table = joined.reshape(3, 5)
        logits = task.module[:2](batch.inputs).detach() @ table[:, :4].T + table[:, 4]
        return nn.functional.cross_entropy(logits, batch.targets) + 0.015 * table[:, :4].square().sum()

    point = torch.cat([weight, bias[:, None]], 1).flatten()
    hessian = torch.autograd.functional.hessian(mean_loss, point) + 0.02 * torch.eye(15)
    torch.testing.assert_close(gauss_newton(task, forward(task, train), 0.02), hessian)
    centred = gradients(task, part) - gradients(task, train).mean(0)
    expected = gradients(task, queries) @ torch.linalg.solve(hessian, centred.T) / 16
    found = pair_features(task, queries, part, whole=train, damping=0.02)["preconditioned kernel"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-7)


def test_other_features() -> None:
    task, queries, train = problem()
    found = pair_features(task, queries, train, layers=("0", "output"))
    assert found.values.shape == (6, 17, len(found.names))
    assert found.values.dtype == np.float32
    labels, asked = train.targets().numpy(), queries.targets().numpy()
    np.testing.assert_array_equal(found["same label"], asked[:, None] == labels)
    losses = wh.Loss().fit(task, train).attribute(queries).values
    np.testing.assert_allclose(found["train loss"], losses, rtol=1e-6)
    cosine = wh.Similarity(layer="0", metric="cosine").fit(task, train).attribute(queries).values
    np.testing.assert_allclose(found["cosine [0]"], cosine, rtol=1e-5, atol=1e-6)
    centre = wh.CentroidDistance("0", "euclidean").fit(task, train).attribute(queries).values
    np.testing.assert_allclose(found["distance to own centroid [0]"], centre, rtol=1e-5)
    assert set(found.relative) <= set(found.names)
    assert "train loss" not in found.relative


def test_pairs_do_not_depend_on_their_company() -> None:
    task, queries, train = problem()
    every = pair_features(task, queries, train, ("0",), whole=train)
    some = pair_features(task, queries[1:3], train[4:9], ("0",), whole=train)
    np.testing.assert_allclose(some.values, every.values[1:3, 4:9], rtol=1e-5, atol=1e-6)


def test_refuses() -> None:
    task, queries, train = problem(only=["0"])
    with pytest.raises(ValueError, match="does not study"):
        pair_features(task, queries, train)
    task = wh.Classification(nn.Sequential(nn.Linear(5, 3), nn.Tanh()).double())
    with pytest.raises(ValueError, match=r"end the model in one nn.Linear"):
        pair_features(task, queries, train)
    idle = nn.ModuleDict({"used": nn.Linear(5, 3), "idle": nn.Linear(5, 3)}).double()
    idle.forward = lambda inputs: idle["used"](inputs)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"end the model in one nn.Linear"):
        pair_features(wh.Classification(idle), queries, train)
    with pytest.raises(ValueError, match="needs a classification"):
        pair_features(wh.Regression(nn.Linear(5, 1)), queries, train)
    with pytest.raises(ValueError, match="one name"):
        Features(np.zeros((1, 1, 2), np.float32), ("a", "a"))
    with pytest.raises(ValueError, match="not finite"):
        Features(np.full((1, 1, 1), np.nan, np.float32), ("a",))
    with pytest.raises(KeyError, match="no feature 'b'"):
        Features(np.zeros((1, 1, 1), np.float32), ("a",))["b"]

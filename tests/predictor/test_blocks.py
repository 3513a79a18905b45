"""Influence within each layer against loops over autograd and dense solves, and against the library's influence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import whence as wh
from whence.evaluation.bootstrap import Bootstrap
from whence.examples import Examples
from whence.predictor import block_features, held_out, joined, pair_features
from whence.predictor import blocks as predictor_blocks
from whence.predictor.blocks import LAYERWISE, ROOT

CONV = ("0", "2", "5", "7")


class Scaled(nn.Module):
    """A net whose first layer and first parameter are held by no linear layer, so nothing is taken apart."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.5, 0.5, 1.0, 0.8, 1.2]))
        self.norm = nn.LayerNorm(5)
        self.body = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.norm(x * self.scale) + x)  # type: ignore[no-any-return]


def problem(kind: str = "conv", **options: Any) -> tuple[wh.Classification, Examples, Examples]:
    torch.manual_seed(0)
    if kind == "conv":
        front = [nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 3, 2, bias=False), nn.Tanh(), nn.Flatten()]
        module: nn.Module = nn.Sequential(*front, nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 3))
        x = torch.randn(23, 1, 5, 5, dtype=torch.float64)
    else:
        module, x = Scaled(), torch.randn(23, 5, dtype=torch.float64)
    y = torch.arange(23) % 3
    train, queries = wh.as_examples((x[:17], y[:17])), wh.as_examples((x[17:], y[17:]), ids=np.arange(100, 106))
    return wh.Classification(module.double().eval(), **{"weight_decay": 0.03} | options), queries, train


def loops(task: wh.Classification, prefix: str, queries: Examples, part: Examples, whole: Examples) -> torch.Tensor:
    """∇_l ℓ_q · (G_l + 0.02 I)⁻¹ (∇_l ℓ_i − ∇_l L) / (n−1), one autograd call an example and output."""
    own = [(name, p) for name, p in task.module.named_parameters() if name.rpartition(".")[0] == prefix]
    mean, n = task.objective == "mean", len(whole)

    def flat(value: torch.Tensor) -> torch.Tensor:
        pieces = torch.autograd.grad(value, [p for _, p in own], retain_graph=True)
        return torch.cat([piece.flatten() for piece in pieces])

    def losses(examples: Examples) -> torch.Tensor:
        batch = examples.take(slice(0, None))
        logits = task.module(batch.inputs)
        return torch.stack(
            [flat(loss) for loss in nn.functional.cross_entropy(logits, batch.targets, reduction="none")]
        )

    penalty = torch.cat([torch.full((p.numel(),), 0.03 if p.ndim > 1 else 0.0).double() for _, p in own])
    matrix = torch.diag(penalty + 0.02)
    for logits in task.module(whole.take(slice(0, None)).inputs):
        jacobian, share = torch.stack([flat(logit) for logit in logits]), logits.detach().softmax(0)
        curvature = torch.diag(share) - torch.outer(share, share)
        matrix = matrix + jacobian.T @ curvature @ jacobian / (n if mean else 1)
    right = losses(part) - (losses(whole).mean(0) if mean else 0)
    return losses(queries) @ torch.linalg.solve(matrix, right.T) / (n - 1 if mean else 1)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize(("kind", "prefixes"), [("conv", CONV), ("mlp", ("", "norm", "body.0"))])
def test_is_a_dense_solve_in_each_layer(kind: str, prefixes: tuple[str, ...], objective: Any) -> None:
    task, queries, train = problem(kind, objective=objective)
    part = train[np.array([4, 1, 9, 16])]
    found = block_features(task, queries, part, whole=train, damping=0.02)
    for prefix in prefixes:
        expected = loops(task, prefix, queries, part, train).detach().numpy()
        np.testing.assert_allclose(found[f"influence within {prefix or ROOT}"], expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["conv", "mlp"])
def test_is_the_influence_function_of_each_layer_alone(kind: str, objective: Any) -> None:
    task, queries, train = problem(kind, objective=objective)
    found = block_features(task, queries, train, damping=0.02)
    layers = [("scale", ROOT), ("norm", "norm"), ("body.0", "body.0"), ("body.2", "body.2")]
    total = np.zeros((6, 17))
    for only, layer in layers if kind == "mlp" else [(layer, layer) for layer in CONV]:
        alone = wh.Classification(task.module, weight_decay=0.03, objective=objective, only=[only])
        with torch.no_grad():  # the parameters that are not studied would ask for gradients
            scores = wh.InfluenceFunction(wh.Dense(), 0.02, "gauss-newton").fit(alone, train).attribute(queries).values
        np.testing.assert_allclose(found[f"influence within {layer}"], scores, rtol=1e-4, atol=1e-8)
        own = block_features(alone, queries, train, damping=0.02)[f"influence within {layer}"]
        np.testing.assert_allclose(own, scores, rtol=1e-4, atol=1e-8)
        total += scores
    np.testing.assert_allclose(found[LAYERWISE], total, rtol=1e-4, atol=1e-7)


def test_layers_norms_and_relative_names() -> None:
    task, queries, train = problem(only=["2", "7"])
    found = block_features(task, queries, train)
    assert found.relative == ("influence within 2", "influence within 7", LAYERWISE)
    assert found.names == (*found.relative, "train gradient norm in 2", "train gradient norm in 7")
    batch = train.take(slice(0, None))
    for position, (x, y) in enumerate(zip(batch.inputs, batch.targets, strict=True)):
        loss = nn.functional.cross_entropy(task.module(x[None]), y[None])
        pieces = torch.autograd.grad(loss, list(task.module[7].parameters()))
        norm = float(torch.cat([piece.flatten() for piece in pieces]).norm())
        np.testing.assert_allclose(found["train gradient norm in 7"][:, position], norm, rtol=1e-5)


def test_batches_change_nothing_and_bound_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    task, queries, train = problem()
    expected = block_features(task, queries, train).values
    seen: list[int] = []
    plain = predictor_blocks.rows.gradient_rows

    def watched(*args: Any) -> Any:
        for window, piece in plain(*args):
            seen.append(len(piece))
            yield window, piece

    monkeypatch.setattr(predictor_blocks, "BATCH", 4)
    monkeypatch.setattr(predictor_blocks.rows, "gradient_rows", watched)
    np.testing.assert_allclose(block_features(task, queries, train).values, expected, rtol=1e-6, atol=1e-12)
    assert max(seen) == 4


def test_measurement_and_other_tasks() -> None:
    torch.manual_seed(1)
    x = torch.randn(12, 3, dtype=torch.float64)
    data = wh.as_examples((x, x.sum(1, keepdim=True).sin()))
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    found = block_features(wh.Regression(module), data[:3], data, damping=0.1)
    alone = wh.Regression(module, only=["0"])
    scores = wh.InfluenceFunction(wh.Dense(), 0.1, "gauss-newton").fit(alone, data).attribute(data[:3]).values
    np.testing.assert_allclose(found["influence within 0"], scores, rtol=1e-4, atol=1e-9)
    task, queries, train = problem()
    found = block_features(task.with_measure("margin"), queries, train)
    asked = wh.Classification(task.module, weight_decay=0.03, measure="margin", only=["7"])
    scores = wh.InfluenceFunction(wh.Dense(), 0.01, "gauss-newton").fit(asked, train).attribute(queries).values
    np.testing.assert_allclose(found["influence within 7"], scores, rtol=1e-4, atol=1e-9)


def test_joined_and_judged() -> None:
    task, queries, train = problem()
    first, second = pair_features(task, queries, train), block_features(task, queries, train)
    both = joined(first, second)
    assert both.names == first.names + second.names
    assert both.relative == first.relative + second.relative
    np.testing.assert_array_equal(both[LAYERWISE], second[LAYERWISE])
    np.testing.assert_array_equal(both["train loss"], first["train loss"])
    # the last layer's Gauss-Newton block is one matrix, made in two ways
    np.testing.assert_allclose(both["influence within 7"], both["preconditioned kernel"], rtol=1e-4, atol=1e-9)
    table = held_out(both, second[LAYERWISE].astype(float), queries.ids, folds=2, boosted={}, bootstrap=Bootstrap(20))
    assert table.loc[table["predictor"] == LAYERWISE, "spearman"].min() == pytest.approx(1)
    with pytest.raises(ValueError, match="both tiers have"):
        joined(both, second)
    with pytest.raises(ValueError, match="same queries and training examples"):
        joined(first, second.of(np.array([0, 1])))


def test_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    task, queries, train = problem()
    with pytest.raises(ValueError, match="damping must be finite and not negative"):
        block_features(task, queries, train, damping=-0.1)
    with pytest.raises(ValueError, match="at least one of each"):
        block_features(task, queries[:0], train)
    with pytest.raises(ValueError, match="singular"):
        block_features(problem(weight_decay=0.0)[0], queries, train, damping=0.0)
    monkeypatch.setattr(predictor_blocks, "LARGEST", 30)
    with pytest.raises(ValueError, match=r"\{'5': 52\} parameters is too large"):
        block_features(task, queries, train)

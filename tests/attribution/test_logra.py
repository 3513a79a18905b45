"""LoGra against its formula with the projection as a matrix, and at full rank against influence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import oracles
import whence as wh
from problems import Problem, problem, untrained


def projection(p: Problem, tensors: Any) -> Tensor:
    """Q [parameter, dimension] from the factors: a column is an outer product at the places of a layer."""
    shapes = dict(zip(p.task.layout.names, p.task.layout.shapes, strict=True))
    slices, pieces = p.task.layout.slices, []
    prefixes = list(dict.fromkeys(name.rpartition(".")[0] for name in shapes))
    for number, prefix in enumerate(prefixes):
        inputs, outputs = tensors[f"inputs {number}"], tensors[f"outputs {number}"]
        weight, bias = f"{prefix}.weight", f"{prefix}.bias"
        for o in outputs.T:
            for i in inputs.T:
                column = torch.zeros(p.task.layout.size, dtype=torch.float64)
                size = shapes[weight].numel() // shapes[weight][0]
                column[slices[weight]] = torch.outer(o, i[:size]).reshape(-1)
                if bias in shapes:
                    column[slices[bias]] = o * i[size]
                pieces.append(column)
    return torch.stack(pieces, 1)


@pytest.mark.parametrize(("fisher", "joint"), [("empirical", True), ("exact", True), ("empirical", False)])
@pytest.mark.parametrize("start", ["pca", "random"])
@pytest.mark.parametrize(("name", "objective"), [("mlp", "mean"), ("shared", "sum"), ("dict", "mean")])
def test_logra_equals_its_formula(name: str, objective: str, start: Any, fisher: Any, joint: bool) -> None:
    p = problem(name, objective)
    o = p.objective
    explainer = wh.LoGra(2, start, fisher, joint, damping=0.1).fit(p.task, p.train)
    q = projection(p, explainer.prepared.tensors)
    np.testing.assert_allclose(q.T @ q, torch.eye(q.shape[1]), atol=1e-12)
    own = oracles.example_gradients(p.task, o.theta, p.train)
    weight = 1 / 24 if objective == "mean" else 1.0
    decay = torch.diag(p.task.coefficients)
    matrix = weight * own.T @ own if fisher == "empirical" else oracles.gauss_newton(o) - decay
    inner = q.T @ (matrix + decay) @ q + 0.1 * torch.eye(q.shape[1]).double()
    if not joint:
        sizes = [
            explainer.prepared.tensors[f"matrix {k}"].shape[0]
            for k in range(len(q.T))
            if f"matrix {k}" in explainer.prepared.tensors
        ]
        inner = inner * torch.block_diag(*[torch.ones(size, size) for size in sizes])
        assert len(sizes) == 2 if name == "mlp" else 3
    asked = oracles.example_gradients(p.task, o.theta, p.queries)
    pulls = (own - own.mean(0)) / 23 if objective == "mean" else own
    expected = asked @ q @ torch.linalg.inv(inner) @ q.T @ pulls.T
    scores = explainer.attribute(p.queries)
    np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=1e-9 * float(expected.abs().max()))
    assert scores.attrs["notes"]["dimension"] == q.shape[1]


@pytest.mark.parametrize("start", ["pca", "random"])
@pytest.mark.parametrize(("name", "objective"), [("mlp", "mean"), ("shared", "sum")])
def test_at_full_rank_it_is_influence_with_gauss_newton(name: str, objective: str, start: Any) -> None:
    p = problem(name, objective)
    expected = wh.InfluenceFunction(wh.Dense(), 0.1, "gauss-newton").fit(p.task, p.train)
    found = wh.LoGra(50, start, "exact", damping=0.1).fit(p.task, p.train)
    np.testing.assert_allclose(found.attribute(p.queries), expected.attribute(p.queries), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found.self_influence(), expected.self_influence(), rtol=1e-7, atol=1e-10)


def test_convolutions_embeddings_and_what_is_left_out() -> None:
    p = problem("conv")  # the second convolution is grouped, which is not projected
    notes = wh.LoGra(2, damping=0.1).fit(p.task, p.train).prepared.notes
    assert notes["left_out"] == ["2.weight", "2.bias"]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        words = nn.Sequential(nn.Embedding(7, 3, padding_idx=0), nn.Flatten(), nn.Linear(6, 2))
        x = torch.randint(0, 7, (30, 2))
    q = untrained(words, x, torch.arange(30) % 2)
    expected = wh.InfluenceFunction(wh.Dense(), 0.1, "gauss-newton").fit(q.task, q.train).attribute(q.queries)
    for start in ("pca", "random"):
        found = wh.LoGra(9, start, "exact", damping=0.1).fit(q.task, q.train)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.attribute(q.queries), expected, rtol=1e-7, atol=1e-10)
    image = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        r = untrained(image, torch.randn(20, 1, 4, 4).double(), torch.arange(20) % 3)
    expected = wh.InfluenceFunction(wh.Dense(), 0.1, "gauss-newton").fit(r.task, r.train).attribute(r.queries)
    found = wh.LoGra(40, fisher="exact", damping=0.1).fit(r.task, r.train)
    np.testing.assert_allclose(found.attribute(r.queries), expected, rtol=1e-7, atol=1e-10)


def test_a_higher_rank_is_nearer_to_influence() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        p = untrained(networks.mlp(12, 10, 3), torch.randn(200, 12).double(), torch.arange(200) % 3)
    exact = wh.InfluenceFunction(wh.Dense(), 0.01, "gauss-newton").fit(p.task, p.train).attribute(p.queries).values

    def correlation(rank: int) -> float:
        found = wh.LoGra(rank, "pca", "exact").fit(p.task, p.train).attribute(p.queries).values
        return float(np.corrcoef(found.ravel(), exact.ravel())[0, 1])

    low, high = correlation(3), correlation(8)
    assert 0.3 < low < high


def test_impossible_choices_are_refused() -> None:
    for options, words in (
        ({"rank": 0}, "rank must be"),
        ({"start": "svd"}, "start must be"),
        ({"fisher": "true"}, "fisher must be"),
        ({"damping": -1.0}, "damping must be"),
    ):
        with pytest.raises(ValueError, match=words):
            wh.LoGra(**options)  # type: ignore[arg-type]
    p = problem("bilinear")
    with pytest.raises(ValueError, match="the model has none"):
        wh.LoGra().fit(p.task, p.train)

"""DataInf against a mean of explicit inverses, one an example and a layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import oracles
import whence as wh
from problems import problem


def by_hand(name: str, objective: str, damping: float | None) -> np.ndarray:
    p = problem(name, objective)
    o, layout = p.objective, p.task.layout
    own = oracles.example_gradients(p.task, o.theta, p.train)
    asked = oracles.example_gradients(p.task, o.theta, p.queries, "measure")
    owners = np.repeat([n.rpartition(".")[0] for n in layout.names], layout.sizes)
    solved = torch.zeros_like(asked)
    terms = o.count if objective == "sum" else 1
    for owner in dict.fromkeys(owners):
        where = torch.from_numpy(np.flatnonzero(owners == owner))
        g = own[:, where]
        delta = 0.1 * float(g.square().mean()) * terms if damping is None else damping
        diagonal = torch.diag(o.decay[where] + delta)
        inverse = torch.stack([torch.linalg.inv(terms * torch.outer(one, one) + diagonal) for one in g]).mean(0)
        solved[:, where] = asked[:, where] @ inverse
    found = solved @ own.T
    return ((found - found.mean(1, keepdim=True)) / (o.count - 1) if objective == "mean" else found).numpy()


@pytest.mark.parametrize("damping", [None, 0.3])
@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("name", ["mlp", "conv", "shared", "bilinear", "ridge"])
def test_equals_the_mean_of_inverses(name: str, objective: str, damping: float | None) -> None:
    p = problem(name, objective)
    method = wh.DataInf() if damping is None else wh.DataInf(damping)
    scores = method.fit(p.task, p.train).attribute(p.queries)
    expected = by_hand(name, objective, damping)
    np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=1e-9 * float(abs(expected).max()))


def test_at_great_damping_it_is_influence_with_the_empirical_fisher_matrix_of_each_layer() -> None:
    """Mean of inverses and inverse of the mean differ in the second order of curvature by damping."""
    p = problem("logistic-3")
    apart = []
    for damping in (100.0, 1000.0):
        method = wh.InfluenceFunction(wh.Dense(), damping, "empirical-fisher")
        exact = method.fit(p.task, p.train).attribute(p.queries)
        found = wh.DataInf(damping).fit(p.task, p.train).attribute(p.queries)
        apart.append(float(abs(found - exact).max() / abs(exact).max()))
    assert apart[0] < 1e-3
    assert apart[1] < apart[0] / 50


def test_the_papers_damping_is_in_the_notes() -> None:
    p = problem("mlp")
    scores = wh.DataInf().fit(p.task, p.train).attribute(p.queries)
    g = oracles.example_gradients(p.task, p.objective.theta, p.train)
    expected = {"0": 0.1 * float(g[:, :20].square().mean()), "2": 0.1 * float(g[:, 20:].square().mean())}
    assert scores.attrs["notes"]["layer_damping"] == pytest.approx(expected)


@pytest.mark.parametrize("damping", [0.0, -1.0, float("nan"), "auto"])
def test_damping_is_positive_or_the_papers(damping: float) -> None:
    with pytest.raises(ValueError, match="layer_damping must be"):
        wh.DataInf(damping)


def test_a_layer_without_gradients_needs_a_number() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x) + 0.0 * self.idle(x)

    p = problem("logistic-3")
    task = wh.Classification(Idle().double())
    with pytest.raises(ValueError, match=r"all gradients are 0 in \['idle'\]"):
        wh.DataInf().fit(task, p.train)
    wh.DataInf(0.1).fit(task, p.train)

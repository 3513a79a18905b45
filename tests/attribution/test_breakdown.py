"""A breakdown sums to the whole; each part is what its own parameters give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import oracles
import whence as wh
from problems import problem


@pytest.mark.parametrize(("name", "objective"), [("conv", "mean"), ("shared", "sum"), ("bilinear", "mean")])
@pytest.mark.parametrize("by", ["module", "parameter"])
def test_parts_sum_to_the_whole_and_equal_masked_solves(name: str, objective: str, by: str) -> None:
    p = problem(name, objective)
    o = p.objective
    explainer = wh.InfluenceFunction(wh.Dense(), 0.2).fit(p.task, p.train)
    parts = wh.breakdown(explainer, p.queries, by)  # type: ignore[arg-type]
    scores = explainer.attribute(p.queries)
    scale = float(abs(scores).max())
    np.testing.assert_allclose(parts.sum("part"), scores, atol=1e-10 * scale)
    own = oracles.example_gradients(p.task, o.theta, p.train)
    own = (own - own.mean(0)) / 23 if objective == "mean" else own
    asked = oracles.example_gradients(p.task, o.theta, p.queries)
    solved = torch.linalg.solve(oracles.objective_hessian(o) + 0.2 * torch.eye(len(o.theta)).double(), asked.T)
    for part in parts["part"].values:
        mask = torch.zeros(len(o.theta))
        for parameter, where in p.task.layout.slices.items():
            if parameter == part or (by == "module" and parameter.rpartition(".")[0] == part):
                mask[where] = 1.0
        assert mask.sum() > 0
        expected = (own @ (mask[:, None] * solved)).T
        np.testing.assert_allclose(parts.sel(part=part), expected, atol=1e-8 * scale)
    assert parts.attrs["quantity"] == "change in loss"
    assert parts["train_label"].values.tolist() == scores["train_label"].values.tolist()


def test_parts_may_be_named_by_a_function() -> None:
    p = problem("mlp")
    explainer = wh.InfluenceFunction(wh.Dense(), 0.2).fit(p.task, p.train)
    parts = wh.breakdown(explainer, p.queries, lambda name: "weights" if name.endswith("weight") else "biases")
    assert parts["part"].values.tolist() == ["weights", "biases"]
    np.testing.assert_allclose(parts.sum("part"), explainer.attribute(p.queries), rtol=1e-8)


def test_what_cannot_be_broken_down_is_refused() -> None:
    p = problem("mlp")
    with pytest.raises(TypeError, match="a breakdown is of InfluenceFunction, not of loss"):
        wh.breakdown(wh.Loss().fit(p.task, p.train), p.queries)
    explainer = wh.InfluenceFunction(wh.Dense(), 0.2).fit(p.task, p.train)
    with pytest.raises(ValueError, match="by must be"):
        wh.breakdown(explainer, p.queries, "layer")  # type: ignore[arg-type]


def test_a_solve_that_did_not_converge_is_said() -> None:
    p = problem("mlp")
    solver = wh.ConjugateGradient(max_iterations=1, preconditioner="none")
    explainer = wh.InfluenceFunction(solver, 0.2).fit(p.task, p.train)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        parts = wh.breakdown(explainer, p.queries)
    assert parts.attrs["solver"]["converged"] is False
    assert not parts["query_converged"].all()

"""RelatIF against its formula by explicit inverses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import oracles
import whence as wh
from problems import problem


@pytest.mark.parametrize(("name", "objective"), [("conv", "mean"), ("dict", "sum"), ("bilinear", "mean")])
def test_relatif_is_the_papers_up_to_one_factor(name: str, objective: str) -> None:
    p = problem(name, objective)
    o = p.objective
    inverse = torch.linalg.inv(oracles.curvature(o, "gauss-newton") + 0.3 * torch.eye(len(o.theta)).double())
    own = oracles.example_gradients(p.task, o.theta, p.train)
    own = own - own.mean(0) if objective == "mean" else own
    asked = oracles.example_gradients(p.task, o.theta, p.queries)
    influence = asked @ inverse @ own.T
    papers = {
        "parameters": influence / (own @ inverse).norm(dim=1),
        "loss": influence / ((own @ inverse) * own).sum(1).sqrt(),
    }
    factor = {"parameters": 1.0, "loss": (1 / 23 if objective == "mean" else 1.0) ** 0.5}
    base = wh.InfluenceFunction(wh.Dense(), 0.3, "gauss-newton")
    for to, expected in papers.items():
        explainer = wh.RelatIF(base, to).fit(p.task, p.train)  # type: ignore[arg-type]
        scores = explainer.attribute(p.queries)
        expected = factor[to] * expected
        np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=1e-9 * float(expected.abs().max()))
        assert scores.attrs["damping"] == 0.3
        assert scores.attrs["solver"]["name"] == "dense Cholesky"
        assert scores.attrs["options"]["base"]["class"] == "InfluenceFunction"
        assert scores.attrs["quantity"].startswith("change in loss ")
        assert "query_residual" in scores.coords


def test_the_leverage_corrected_base_brings_its_own_changes() -> None:
    p = problem("mlp")
    base = wh.ApproximateLeaveOneOut(wh.Dense(), 0.3)
    plain, changes = base.fit(p.task, p.train), oracles.newton_changes(p.objective, "hessian", 0.3)
    scores = wh.RelatIF(base).fit(p.task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores, plain.attribute(p.queries) / changes.norm(dim=1).numpy(), rtol=1e-6)


def test_an_example_that_changes_nothing_scores_nothing() -> None:
    p = problem("ridge", "sum")
    batch = p.train.take(slice(None))
    inputs, targets = batch.inputs.clone(), batch.targets.clone()
    inputs[3] = 0.0
    targets[3] = p.task.module(inputs)[3, 0].detach()
    base = wh.InfluenceFunction(wh.Dense(), 0.1)
    scores = wh.RelatIF(base).fit(p.task, (inputs, targets)).attribute(p.queries)
    np.testing.assert_array_equal(scores.sel(train=3), 0)


def test_outliers_lose_their_lead() -> None:
    """An example with a huge gradient leads for every query by influence, and for few relative to what it does."""
    p = problem("logistic-3", count=60)
    batch = p.train.take(slice(None))
    inputs = batch.inputs.clone()
    inputs[5] *= 8
    inputs[9] *= 8
    base = wh.InfluenceFunction(wh.Dense(), 0.1)
    train = (inputs, batch.targets)
    leads = [
        len(np.unique(np.abs(method.fit(p.task, train).attribute(p.train)).argmax("train")))
        for method in (base, wh.RelatIF(base), wh.RelatIF(base, "loss"))
    ]
    assert leads[0] < leads[1]
    assert leads[0] < leads[2]


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(TypeError, match="gradient dot product predicts no change of the parameters"):
        wh.RelatIF(wh.GradientDot())
    with pytest.raises(TypeError, match="base must be a method"):
        wh.RelatIF("influence")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="to must be"):
        wh.RelatIF(wh.InfluenceFunction(), "theta")  # type: ignore[arg-type]

"""Law: an example of zero gradient was not learned from, so under a sum objective it scores 0 for every query.

Under a mean objective it does not: without it the others weigh more.
"""

from __future__ import annotations

import numpy as np
import pytest

import cases
import whence as wh
from problems import problem
from whence.curvature.operator import Diagonal, Matrix


def with_one_fitted_example(objective: str) -> tuple[wh.Regression, wh.examples.Examples, wh.examples.Examples]:
    """Ridge regression in which example 3's target is what the model says: its residual is 0."""
    p = problem("ridge", objective)
    batch = p.train.take(slice(None))
    targets = batch.targets.clone()
    targets[3] = p.task.module(batch.inputs)[3, 0].detach()
    return p.task, wh.as_examples((batch.inputs, targets)), p.queries


@pytest.mark.parametrize("method", cases.where(lambda m: m.zero and not m.samples))
def test_no_gradient_no_score(method: cases.Method) -> None:
    task, train, queries = with_one_fitted_example("sum")
    explainer = method.attributor.fit(task, train)
    scores = explainer.attribute(queries)
    scale = float(abs(scores).max())
    assert scale > 0
    np.testing.assert_allclose(scores.sel(train=3), 0, atol=1e-12 * scale)
    assert float(explainer.self_influence().sel(train=3)) == pytest.approx(0, abs=1e-12 * scale)
    if method.parameters:
        np.testing.assert_allclose(explainer.parameter_change(3), 0, atol=1e-12)


@pytest.mark.parametrize("method", cases.where(lambda m: m.loss_units and not m.samples))
def test_under_a_mean_objective_the_others_weigh_more(method: cases.Method) -> None:
    task, train, queries = with_one_fitted_example("mean")
    scores = method.attributor.fit(task, train).attribute(queries)
    assert float(abs(scores.sel(train=3)).max()) > 1e-4 * float(abs(scores).max())


def test_sampling_needs_a_mean_objective_and_says_so() -> None:
    p = problem("ridge", "sum")
    with pytest.raises(TypeError, match="sampling needs objective='mean'"):
        wh.InfluenceFunction(wh.LiSSA(batch=8)).fit(p.task, p.train)


def test_a_curvature_of_another_model_is_refused() -> None:
    p = problem("mlp")
    own = wh.Hessian(p.objective).dense()
    expected = wh.InfluenceFunction(wh.Dense()).fit(p.task, p.train).attribute(p.queries)
    kept = wh.InfluenceFunction(wh.Dense(), curvature=Matrix(own, p.objective.checkpoint)).fit(p.task, p.train)
    np.testing.assert_allclose(kept.attribute(p.queries), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="computed at another checkpoint"):
        wh.InfluenceFunction(wh.Dense(), curvature=Matrix(own, "0123")).fit(p.task, p.train)
    with pytest.raises(ValueError, match="the curvature has 3 parameters, the model 35"):
        wh.InfluenceFunction(wh.Dense(), curvature=Diagonal(own[0, :3])).fit(p.task, p.train)
    with pytest.raises(ValueError, match="curvature must be 'hessian'"):
        wh.InfluenceFunction(wh.Dense(), curvature="fisher").fit(p.task, p.train)  # type: ignore[arg-type]

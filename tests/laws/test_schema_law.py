"""Law: results carry dims, ids, labels, quantity, unit and certificate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import cases
import oracles
import whence as wh
from problems import problem
from whence import results

WORDS = [f"image {i}" for i in range(24)]


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_scores_follow_the_schema(method: cases.Method) -> None:
    p = problem("mlp")
    train = wh.as_examples(p.train, ids=WORDS)
    scores = method.attributor.fit(p.task, train).attribute(p.queries)
    assert results.check(scores) is scores
    assert scores.dims == ("query", "train")
    assert scores["train"].values.tolist() == WORDS
    assert scores["query"].values.tolist() == p.queries.ids.tolist()
    assert scores.dtype == np.float64
    assert bool(np.isfinite(scores).all())
    attrs = scores.attrs
    assert attrs["method"] == method.attributor.name
    assert attrs["objective"] == "mean"
    assert attrs["precision"] == "float64"
    assert attrs["sign"] == method.attributor.sign
    assert attrs["sign"] == results.SIGN or not method.loss_units
    assert attrs["damping"] == getattr(method.attributor, "damping", None)
    assert attrs["seed"] == getattr(method.attributor, "seed", None)
    assert attrs["task"]["parameters"] == p.task.layout.size
    assert json.loads(json.dumps(attrs, allow_nan=False))["method"] == attrs["method"]


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_the_quantity_says_whether_scores_are_changes_in_the_measurement(method: cases.Method) -> None:
    for measure, unit in (("loss", "nats"), ("margin", "measurement units")):
        p = problem("logistic-3", measure=measure)
        attrs = method.fit(p).attribute(p.queries).attrs
        assert (attrs["quantity"] == f"change in {measure}") == method.loss_units
        assert not method.loss_units or attrs["unit"] == unit


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_every_score_has_its_certificate(method: cases.Method) -> None:
    p = problem("mlp")
    explainer = method.fit(p)
    scores, own = explainer.attribute(p.queries), explainer.self_influence()
    for report in (scores.attrs["solver"], own.attrs["solver"]):
        assert set(results.SOLVER) <= set(report)
        assert report["converged"] is True
        assert (report["name"] != "none") == (method.solves or method.certified)
    if not method.solves:
        assert method.certified or "query_residual" not in scores.coords
        return
    report = scores.attrs["solver"]
    assert report["name"] == method.attributor.solver.name
    assert report["relative_residual"] == pytest.approx(float(scores["query_residual"].max()))
    assert bool(scores["query_converged"].all())
    damped = oracles.curvature(p.objective, cases.word_for(method.attributor.curvature)) + 0.1 * torch.eye(
        p.task.layout.size
    )
    low, high = torch.linalg.eigvalsh(damped)[[0, -1]].tolist()
    assert low - 1e-3 <= report["lambda_min"] <= 3 * low
    assert 0.5 * high <= report["lambda_max"] <= 1.05 * high


@pytest.mark.parametrize("method", [cases.INFLUENCE[0], cases.BASELINES[1]])
def test_labels_predictions_and_losses_are_the_models(method: cases.Method) -> None:
    p = problem("conv")
    scores = method.fit(p).attribute(p.queries)
    for dim, examples in (("train", p.train), ("query", p.queries)):
        batch = examples.take(slice(None))
        with torch.no_grad():
            output = p.task.module(batch.inputs)
        assert scores[f"{dim}_label"].values.tolist() == batch.targets.tolist()
        assert scores[f"{dim}_prediction"].values.tolist() == output.argmax(1).tolist()
        losses = torch.nn.functional.cross_entropy(output, batch.targets, reduction="none")
        np.testing.assert_allclose(scores[f"{dim}_loss"], losses, rtol=1e-12)


@pytest.mark.parametrize("method", cases.where(lambda method: method.parameters))
def test_parameter_changes_are_named(method: cases.Method) -> None:
    p = problem("mlp")
    explainer = method.fit(p)
    changes = explainer.parameter_change([7, 3])
    assert changes.dims == ("train", "parameter")
    assert changes["train"].values.tolist() == [7, 3]
    assert changes["parameter_name"].values[0] == "0.weight"
    assert changes["parameter_name"].values.tolist().count("2.bias") == 3
    with pytest.raises(KeyError, match="no example has the id \\[99\\]"):
        explainer.parameter_change(99)


@pytest.mark.parametrize("method", cases.where(lambda m: not m.parameters and m.takes("ridge")))
def test_methods_without_parameters_say_so(method: cases.Method) -> None:
    p = problem("ridge")
    with pytest.raises(TypeError, match="predicts no change of the parameters"):
        method.fit(p).parameter_change(0)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_float32_models_give_the_same_scores_less_exactly(method: cases.Method) -> None:
    exact, rough = problem("mlp"), problem("mlp", dtype=torch.float32)
    attributor = method.float32 or method.attributor
    expected = attributor.fit(exact.task, exact.train).attribute(exact.queries)
    found = attributor.fit(rough.task, rough.train).attribute(rough.queries)
    assert found.attrs["precision"] == "float32"
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3 * float(abs(expected).max()))


@pytest.mark.parametrize("method", [cases.INFLUENCE[0], cases.BASELINES[3]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_have_the_models_precision_and_keep_it_on_disk(
    method: cases.Method, dtype: torch.dtype, tmp_path: Path
) -> None:
    exact, held = problem("mlp"), problem("mlp", dtype=dtype)
    expected = method.fit(exact).attribute(exact.queries)
    scores = method.fit(held).attribute(held.queries)
    assert str(scores.dtype) == str(dtype).removeprefix("torch.") == scores.attrs["precision"]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=20 * torch.finfo(dtype).eps * float(abs(expected).max()))
    loaded = wh.load(scores.whence.save(tmp_path / "scores"))
    assert loaded.dtype == scores.dtype
    np.testing.assert_array_equal(loaded, scores)


def test_a_model_in_half_precision_has_scores_in_float32() -> None:
    p = problem("mlp", dtype=torch.float16)
    scores = wh.GradientDot().fit(p.task, p.train).attribute(p.queries)
    assert (scores.attrs["precision"], scores.dtype) == ("float16", np.float32)

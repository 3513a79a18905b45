"""Representer points against the theorem: at a minimum in the last layer its weight is a sum over examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import oracles
import whence as wh
from problems import Problem, problem
from whence.attribution.representer import representer_values
from whence.batch import Batch


def trained_head(p: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """(features [n, d], W [c, d], b [c]) with the last layer at its minimum, found by scipy."""
    o, layout = p.objective, p.task.layout
    slices = list(layout.slices.values())
    start = slices[-2].start
    body = o.theta[:start]
    head, norm = oracles.minimum(lambda t: oracles.total(o, torch.cat([body, t])), o.theta[start:])
    assert norm < 1e-12
    named = layout.unflatten(torch.cat([body, head]))
    weight, bias = (named[name] for name in layout.names[-2:])
    return hidden(p, p.train), weight, bias


def hidden(p: Problem, examples: Any) -> Tensor:
    x = examples.take(slice(None)).inputs
    return x if isinstance(p.task.module, nn.Linear) else p.task.module[:-1](x).detach()


def label_logit(output: Tensor, batch: Batch) -> Tensor:
    return output.gather(1, batch.targets.long()[:, None])[:, 0]


@pytest.mark.parametrize(
    ("name", "objective"), [("logistic-3", "mean"), ("mlp", "mean"), ("mlp", "sum"), ("conv", "mean"), ("ridge", "sum")]
)
def test_terms_add_up_to_the_output_and_are_those_of_the_theorem(name: str, objective: str) -> None:
    p = problem(name, objective)
    f, weight, bias = trained_head(p)
    batch = p.train.take(slice(None))
    z = (f @ weight.T + bias).requires_grad_(True)
    slopes = torch.autograd.grad(p.task.loss(z, batch).sum(), z)[0]
    strength, share = float(p.task.coefficients.max()), 1 / 24 if objective == "mean" else 1.0
    alpha = -share / strength * slopes
    np.testing.assert_allclose(alpha.T @ f, weight, atol=1e-9)
    asked = hidden(p, p.queries)
    explainer = wh.RepresenterPoints().fit(p.task, p.train)
    terms = representer_values(explainer, p.queries)
    expected = (asked @ f.T)[:, :, None] * alpha
    np.testing.assert_allclose(terms, expected, atol=1e-6 * float(expected.abs().max()))
    np.testing.assert_allclose(terms.sum("train"), asked @ weight.T, atol=1e-6 * float(expected.abs().max()))
    scores = explainer.attribute(p.queries)
    output = (asked @ weight.T + bias).requires_grad_(True)
    down = torch.autograd.grad(p.task.measure(output, p.queries.take(slice(None))).sum(), output)[0]
    np.testing.assert_allclose(
        scores, -(expected * down[:, None]).sum(2), atol=1e-6 * float(abs(scores).max()), rtol=1e-5
    )
    notes, report = scores.attrs["notes"], scores.attrs["solver"]
    assert report["converged"] is True
    assert report["relative_residual"] < 1e-7
    assert notes["moved"] < 0.01


def test_the_papers_values_are_those_of_the_labels_logit() -> None:
    p = problem("mlp", measure=label_logit)
    explainer = wh.RepresenterPoints().fit(p.task, p.train)
    terms = representer_values(explainer, p.queries).values
    labels = p.queries.targets().numpy()
    own = np.stack([terms[q, :, label] for q, label in enumerate(labels)])
    np.testing.assert_allclose(explainer.attribute(p.queries), -own, rtol=1e-9, atol=1e-12)


def test_a_penalised_bias_is_decomposed_too() -> None:
    p = problem("logistic-3")
    task = wh.Classification(p.task.module, weight_decay={"weight": 0.05, "bias": 0.2})
    explainer = wh.RepresenterPoints().fit(task, p.train)
    terms = representer_values(explainer, p.queries).sum("train").values
    theta = explainer.prepared.tensors["theta"]
    output = p.queries.take(slice(None)).inputs @ theta[:12].reshape(3, 4).T + theta[12:]
    np.testing.assert_allclose(terms, output, atol=1e-6)


def test_a_model_away_from_a_minimum_is_said_to_be_so() -> None:
    p = problem("mlp")
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape).double().add(number).sin())
    scores = wh.RepresenterPoints().fit(wh.Classification(module, weight_decay=0.05), p.train).attribute(p.queries)
    notes = scores.attrs["notes"]
    assert notes["residual_before"] > 0.1
    assert notes["moved"] > 0.1
    assert notes["output_change"] > 0.1
    assert scores.attrs["solver"]["relative_residual"] < 1e-7


def test_another_strength_is_fitted() -> None:
    p = problem("mlp", decay=0.0)
    with pytest.raises(ValueError, match=r"2.weight has no L2 penalty.*strength=\.\.\."):
        wh.RepresenterPoints().fit(p.task, p.train)
    explainer = wh.RepresenterPoints(strength=0.05).fit(p.task, p.train)
    assert explainer.prepared.notes["penalties"] == {"weight": 0.05, "bias": 0.0}
    theta = explainer.prepared.tensors["theta"]
    total = representer_values(explainer, p.queries).sum("train")
    np.testing.assert_allclose(total, hidden(p, p.queries) @ theta[:12].reshape(3, 4).T, atol=1e-6)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="strength must be positive"):
        wh.RepresenterPoints(strength=0.0)
    p = problem("bilinear")
    with pytest.raises(ValueError, match="not that of a linear layer"):
        wh.RepresenterPoints().fit(p.task, p.train)
    p = problem("mlp")
    body = wh.Classification(p.task.module, weight_decay=0.1, only=["0"])
    with pytest.raises(ValueError, match="not that of a linear layer"):
        wh.RepresenterPoints().fit(body, p.train)
    with pytest.raises(TypeError, match="not of loss"):
        representer_values(wh.Loss().fit(p.task, p.train), p.queries)

"""Law: a method computes its formula, on every kind of model, for both objectives, near a minimum or not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import oracles
import whence as wh
from problems import NAMES, problem
from whence.batch import Batch

DAMPING = 0.6
QUESTIONS = [(name, "mean") for name in NAMES] + [("ridge", "sum"), ("shared", "sum"), ("bilinear", "sum")]


def squares(output: Tensor, batch: Batch) -> Tensor:
    """A measurement of one's own that is not linear in the output."""
    return output.reshape(len(batch), -1).square().sum(1)


@cache
def first_order(name: str, objective: str, kind: str) -> tuple[Tensor, Tensor]:
    p = problem(name, objective, measure=squares)
    o = p.objective
    return oracles.influence(o, p.queries, kind, DAMPING), oracles.influence_changes(o, kind, DAMPING)


@cache
def newton_step(name: str, objective: str, kind: str) -> tuple[Tensor, Tensor]:
    p = problem(name, objective, measure=squares)
    changes = oracles.newton_changes(p.objective, kind, DAMPING)
    return oracles.measured_along(p.objective, p.queries, changes), changes


def check(method: cases.Method, name: str, objective: str, expected: tuple[Tensor, Tensor]) -> None:
    p = problem(name, objective, measure=squares)
    explainer = replace(method.attributor, damping=DAMPING).fit(p.task, p.train)
    scores, changes = expected
    found = explainer.attribute(p.queries)
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-7 * float(scores.abs().max()))
    moved = explainer.parameter_change(p.train.ids)
    np.testing.assert_allclose(moved, changes, rtol=1e-6, atol=1e-7 * float(changes.abs().max()))


@pytest.mark.parametrize(("name", "objective"), QUESTIONS)
@pytest.mark.parametrize("method", cases.INFLUENCE)
def test_influence_equals_the_explicit_inverse(method: cases.Method, name: str, objective: str) -> None:
    check(method, name, objective, first_order(name, objective, cases.word_for(method.attributor.curvature)))


@pytest.mark.parametrize(("name", "objective"), QUESTIONS)
@pytest.mark.parametrize("method", cases.CORRECTED)
def test_the_leverage_correction_equals_an_explicit_newton_step(
    method: cases.Method, name: str, objective: str
) -> None:
    check(method, name, objective, newton_step(name, objective, method.attributor.curvature))


@pytest.mark.parametrize(("name", "objective"), [("conv", "mean"), ("dict", "sum"), ("shared", "mean")])
def test_the_baselines_equal_their_loops(name: str, objective: str) -> None:
    p = problem(name, objective, measure=squares)
    o = p.objective
    rows = oracles.example_gradients(p.task, o.theta, p.train)
    asked = oracles.example_gradients(p.task, o.theta, p.queries, "measure")
    losses = torch.stack([oracles.value(p.task, o.theta, p.train, i) for i in range(len(p.train))]).detach()
    expected = [
        (wh.Loss(), losses.expand(5, -1)),
        (wh.GradientNorm(), rows.norm(dim=1).expand(5, -1)),
        (wh.GradientDot(), asked @ rows.T),
    ]
    for attributor, values in expected:
        found = attributor.fit(p.task, p.train).attribute(p.queries)
        np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-12, err_msg=attributor.name)

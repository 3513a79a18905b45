"""LiSSA against the dense answer: close where its series converges, and refused or flagged where it does not."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import whence as wh
from problems import problem
from whence.curvature.operator import Matrix


def relative_error(lissa: wh.LiSSA, damping: float = 0.05) -> float:
    p = problem("logistic-3", count=60)
    found, exact = (
        wh.InfluenceFunction(solver, damping=damping).fit(p.task, p.train).attribute(p.queries).values
        for solver in (lissa, wh.Dense())
    )
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_within_five_percent_on_logistic_regression() -> None:
    assert relative_error(wh.LiSSA(depth=60, batch=30, repeats=30), damping=0.2) < 0.05
    assert relative_error(wh.LiSSA(depth=400, batch=60, repeats=1)) < 1e-6


def test_more_repeats_less_noise() -> None:
    few, many = (relative_error(wh.LiSSA(depth=80, batch=5, repeats=repeats, tolerance=0.9)) for repeats in (1, 8))
    assert many < 0.7 * few


def test_the_certificate_is_the_true_residual() -> None:
    operator = wh.Hessian(problem("logistic-3").objective).damped(0.05)
    v = torch.randn(15, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solver = wh.LiSSA(depth=100, batch=8, repeats=2)
    found = solver.solve(operator, solver.prepare(operator), v)
    true = (v - operator.dense() @ found.value).norm(dim=0) / v.norm(dim=0)
    np.testing.assert_allclose(found.residual, true, rtol=1e-9)
    assert found.iterations == 200
    assert found.converged.tolist() == (true.numpy() <= 0.05).tolist()


def test_too_shallow_is_flagged_and_warned_of() -> None:
    p = problem("logistic-3", count=60)
    explainer = wh.InfluenceFunction(wh.LiSSA(depth=1, batch=60, repeats=1), damping=0.01).fit(p.task, p.train)
    assert explainer.prepared.notes["depth_that_the_spectrum_asks_for"] > 50
    with pytest.warns(RuntimeWarning, match="LiSSA did not converge"):
        scores = explainer.attribute(p.queries)
    assert scores.attrs["solver"]["converged"] is False
    assert not scores["query_converged"].any()


def test_a_scale_below_the_curvature_diverges_and_names_the_remedy() -> None:
    p = problem("logistic-3", count=60)

    def attribute(scale: float) -> None:
        solver = wh.LiSSA(depth=200, batch=20, repeats=1, scale=scale, tolerance=0.9)
        wh.InfluenceFunction(solver, damping=0.05).fit(p.task, p.train).attribute(p.queries)

    scale = 0.05
    for _ in range(4):  # the remedy may have to be followed more than once
        with pytest.raises(ValueError, match=r"LiSSA diverged in repeat 1.*ConjugateGradient") as caught:
            attribute(scale)
        larger = float(re.search(r"Use scale=([0-9.e+-]+),", str(caught.value)).group(1))  # type: ignore[union-attr]
        assert larger == pytest.approx(4 * scale, rel=1e-2)
        scale = larger
        if scale > 0.6:
            break
    attribute(scale)


def test_the_scale_that_is_found_exceeds_every_samples_curvature() -> None:
    operator = wh.Hessian(problem("mlp").objective).damped(0.1)
    solver = wh.LiSSA(batch=6)
    scale = float(solver.prepare(operator).tensors["scale"])
    generator = np.random.default_rng(9)
    for _ in range(20):
        sample = operator.minibatch(generator.choice(24, 6, replace=False))
        assert float(torch.linalg.eigvalsh(sample.dense())[-1]) < scale


def test_an_operator_over_no_examples_is_its_own_sample() -> None:
    matrix = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    solver = wh.LiSSA(depth=300, repeats=4)
    found = solver.solve(Matrix(matrix), solver.prepare(Matrix(matrix)), torch.ones(3, 1))
    torch.testing.assert_close(found.value[:, 0], torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64))
    assert found.iterations == 300  # without minibatches all repeats would be the same one


@pytest.mark.parametrize("options", [{"depth": 0}, {"batch": 0}, {"repeats": 0}, {"scale": 0.0}, {"scale": -1.0}])
def test_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        wh.LiSSA(**options)  # type: ignore[arg-type]

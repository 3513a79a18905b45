"""The Gauss-Newton matrix of drawn examples: unbiased, by seed and ids alone, and all of it where all are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import oracles
import whence as wh
from problems import problem
from whence.curvature import sampled
from whence.curvature.draws import uniform
from whence.curvature.operator import Sum
from whence.curvature.sampled import priority_sample
from whence.curvature.structured import DenseBlocks, LowRank


def test_the_estimate_of_every_size_is_unbiased() -> None:
    """The mean over many draws of size·(1/π) is the size itself, for each example."""
    sizes = np.array([5.0, 1.0, 1.0, 0.5, 0.25, 0.1, 0.1, 0.0])
    total, rounds = np.zeros(len(sizes)), 20_000
    generator = np.random.default_rng(0)
    for _ in range(rounds):
        drawn, inverse = priority_sample(sizes, 1.0 - generator.random(len(sizes)), 4)
        assert len(drawn) == 4
        total[drawn] += sizes[drawn] * inverse
    np.testing.assert_allclose(total / rounds, sizes, atol=0.05)


def test_the_largest_stand_for_themselves_and_all_may_be_drawn() -> None:
    sizes = np.array([0.1, 100.0, 0.1, 0.1, 0.1, 0.1])
    draws = np.array([0.5, 0.9, 0.2, 0.6, 0.8, 0.4])
    drawn, inverse = priority_sample(sizes, draws, 3)
    assert drawn.tolist() == [1, 2, 5]
    np.testing.assert_allclose(inverse, [1.0, 2.0, 2.0])  # 1 over the draw of the first one left out
    for count in (6, 9):
        drawn, inverse = priority_sample(sizes, uniform(np.arange(6), 0)[:, 0], count)
        assert drawn.tolist() == list(range(6))
        assert inverse.tolist() == [1.0] * 6
    drawn, inverse = priority_sample(np.array([0.0, 2.0, 0.0, 3.0]), uniform(np.arange(4), 0)[:, 0], 3)
    assert {1, 3} <= set(drawn.tolist())
    assert inverse.tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("name", "objective"), [("mlp", "mean"), ("conv", "sum"), ("bilinear", "mean"), ("dict", "mean")]
)
def test_all_examples_give_the_whole_matrix(name: str, objective: str) -> None:
    o = problem(name, objective).objective
    expected = oracles.gauss_newton(o)
    for count in (None, 24, 100):
        found = wh.SampledGaussNewton(o, count).dense()
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9 * float(expected.abs().max()))


def test_the_mean_over_many_seeds_is_the_whole_matrix() -> None:
    o = problem("mlp").objective
    expected = oracles.gauss_newton(o)
    found = torch.stack([wh.SampledGaussNewton(o, 6, seed).dense() for seed in range(400)])
    error = float((found.mean(0) - expected).norm() / expected.norm())
    assert error < 0.05
    assert float((found[0] - expected).norm() / expected.norm()) > 3 * error


def test_draws_depend_on_the_seed_and_the_ids_alone() -> None:
    o = problem("mlp").objective
    drawn = wh.SampledGaussNewton(o, 6, 3).dense()
    turned = wh.SampledGaussNewton(replace(o.over(o.train[::-1]), batch_size=5), 6, 3).dense()
    torch.testing.assert_close(turned, drawn, rtol=1e-9, atol=1e-12)
    assert float((wh.SampledGaussNewton(o, 6, 4).dense() - drawn).norm()) > 1e-2 * float(drawn.norm())


def test_few_rows_are_kept_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size the default is a number of rows, and a number of numbers; the matrix is the same either way."""
    o = problem("mlp").objective
    assert sampled._default_rows(5_000) == 20_000
    assert sampled._default_rows(100_000) == 2_048
    assert sampled._default_rows(2**22) == 64
    few = wh.SampledGaussNewton(o, 3)
    kept = few.estimated()
    assert isinstance(kept, Sum)
    assert isinstance(kept.first, LowRank)
    assert kept.first.rows.shape == (9, 35)
    monkeypatch.setattr(sampled, "gram", None)
    torch.testing.assert_close(few.matmat(torch.eye(35).double()), few.dense())
    monkeypatch.undo()
    assert isinstance(wh.SampledGaussNewton(o, 12).estimated().first, DenseBlocks)  # type: ignore[attr-defined]


def test_a_count_is_positive() -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        wh.SampledGaussNewton(problem("mlp").objective, 0)

"""Datamodels recover a linear truth, equal sklearn's LASSO, and predict refits of removals that they have not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.linear_model import Lasso

import oracles
import whence as wh
from problems import problem
from whence import results
from whence.evaluation import agreement
from whence.results import Labels, ResultError

ATTRS: dict[str, Any] = {
    "kind": "converged",
    "quantity": "change in loss",
    "unit": "nats",
    "sign": results.SIGN,
    "damping": None,
    "task": {"name": "classification"},
    "objective": "mean",
    "checkpoint": "0",
    "precision": "float64",
    "version": "0",
    "schema": results.SCHEMA,
}


def made_up(count: int, noise: float, share: float = 0.3, n: int = 40) -> tuple[xr.Dataset, np.ndarray]:
    """Effects that are sums of a few weights, with noise; two queries and two seeds."""
    generator = np.random.default_rng(6)
    weights = np.zeros((2, n))
    weights[0, [3, 9, 20]] = 1e-3, -2e-3, 5e-4
    weights[1, [1, 9]] = 2e-3, 1e-3
    member = generator.random((count, n)) < share
    effect = (member @ weights.T)[:, :, None] + noise * 1e-3 * generator.normal(size=(count, 2, 2))
    labels = Labels(np.array(["q0", "q1"]), np.array([1, 0])), Labels(np.arange(n) + 100, np.arange(n) % 2)
    return results.truth(effect, member, np.array([f"r{k}" for k in range(count)]), labels, ATTRS), weights


def test_a_linear_truth_is_recovered() -> None:
    truth, weights = made_up(200, 0.05)
    scores = wh.Datamodels().fit(truth)
    assert results.check(scores) is scores
    np.testing.assert_allclose(scores, weights, atol=6e-5)
    assert scores["train"].values.tolist() == truth["train"].values.tolist()
    assert scores["query_label"].values.tolist() == [1, 0]
    assert scores["train_label"].values.tolist() == truth["train_label"].values.tolist()
    assert bool((scores["query_held_out_r2"] > 0.98).all())
    assert bool((scores["query_held_out_r2_half"] > 0.97).all())
    assert scores.attrs["quantity"] == "change in loss"
    assert scores.attrs["notes"]["removals"] == 200
    assert scores.attrs["notes"]["removed_share"] == pytest.approx(0.3, abs=0.01)
    assert scores.attrs["solver"]["converged"] is True
    assert agreement(scores, truth)["pearson"].min() > 0.99


def test_a_given_strength_is_sklearns_lasso() -> None:
    truth, _ = made_up(60, 0.2)
    scores = wh.Datamodels(strength=2e-5).fit(truth)
    design = truth["member"].values.astype(float)
    for q in range(2):
        expected = Lasso(2e-5, max_iter=10_000).fit(design, truth["effect"].values[:, q].mean(1))
        np.testing.assert_allclose(scores[q], expected.coef_, atol=1e-12)
        assert float(scores["query_intercept"][q]) == pytest.approx(expected.intercept_)
    assert scores["query_strength"].values.tolist() == [2e-5, 2e-5]


def test_few_removals_are_said_to_be_few() -> None:
    truth, _ = made_up(12, 6.0)
    with pytest.warns(RuntimeWarning, match=r"12 removals explains \d+% .* mostly noise: measure more removals"):
        scores = wh.Datamodels().fit(truth)
    assert float(scores["query_held_out_r2"].median()) < 0.1
    enough = wh.Datamodels().fit(made_up(400, 1.0)[0])
    assert bool((enough["query_held_out_r2"] > enough["query_held_out_r2_half"]).all())


def test_refits_that_were_not_seen_are_predicted() -> None:
    """Ridge regression, refitted in closed form without random halves of its examples."""
    p = problem("ridge", count=30)
    o = p.objective
    batch = p.queries.take(slice(None))
    generator = np.random.default_rng(1)
    removed = [np.sort(generator.choice(30, 6, replace=False)) for _ in range(500)]

    def losses(theta: torch.Tensor) -> torch.Tensor:
        return (batch.inputs @ theta[:4] + theta[4] - batch.targets).square()

    base = losses(oracles.ridge(o))
    effect = torch.stack([losses(oracles.ridge(o, oracles.without(30, *one))) - base for one in removed]).numpy()
    member = np.stack([np.isin(np.arange(30), one) for one in removed])
    labels = Labels(p.queries.ids), Labels(p.train.ids)
    truth = results.truth(effect[:, :, None], member, np.arange(500), labels, ATTRS)
    scores = wh.Datamodels().fit(truth.isel(removed=slice(0, 400)))
    table = agreement(scores, truth.isel(removed=slice(400, 500)))
    assert table["lds"].median() > 0.9
    r2 = scores["query_held_out_r2"].values
    # a squared correlation over a hundred removals has a standard error of up to 0.08, and is no less than R²
    np.testing.assert_allclose(np.square(table["pearson"]), r2, atol=0.2)
    assert float(np.median(r2)) > 0.85


def test_a_query_without_effects_and_what_is_refused() -> None:
    truth, _ = made_up(30, 0.1)
    still = truth.copy(deep=True)
    still["effect"][:, 1] = 0.0
    scores = wh.Datamodels().fit(still)
    assert not scores[1].any()
    assert np.isnan(scores["query_held_out_r2"][1])
    with pytest.raises(ValueError, match="every removal takes one example"):
        wh.Datamodels().fit(
            truth.isel(removed=slice(0, 30)).assign(member=(("removed", "train"), np.eye(30, 40, dtype=bool)))
        )
    with pytest.raises(ValueError, match="8 removals are too few for 5 folds"):
        wh.Datamodels().fit(truth.isel(removed=slice(0, 8)))
    broken = truth.copy(deep=True)
    broken["effect"][3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        wh.Datamodels().fit(broken)
    with pytest.raises(ResultError):
        wh.Datamodels().fit(truth.drop_vars("member"))
    with pytest.raises(ValueError, match="strength must be positive"):
        wh.Datamodels(strength=0.0)
    with pytest.raises(ValueError, match="folds must be at least 2"):
        wh.Datamodels(folds=1)

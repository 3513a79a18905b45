"""The linear datamodeling score against scipy, loops and truths whose reliability is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from whence import results
from whence.evaluation import agreement, linear_datamodeling


def made(make_scores: Any, make_truth: Any, noise: float = 0.5, seeds: int = 1, queries: int = 4, **attrs: Any) -> Any:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(queries, 40))
    member = np.zeros((25, 40), dtype=bool)
    for row in member:
        row[generator.choice(40, 20, replace=False)] = True
    signal = member @ scores.T
    effect = signal[:, :, None] + noise * signal.std() * generator.normal(size=(25, queries, seeds))
    truth = make_truth(effect, member, **attrs)
    return make_scores(scores), truth


def test_it_is_the_mean_of_scipys_correlations(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth, seeds=2)
    row = linear_datamodeling(scores, truth).iloc[0]
    predicted = truth["member"].values.astype(float) @ scores.values.T
    actual = truth["effect"].values.mean(2)
    each = [stats.spearmanr(predicted[:, q], actual[:, q]).statistic for q in range(4)]
    assert row["lds"] == pytest.approx(np.mean(each))
    assert agreement(scores, truth)["lds"].tolist() == pytest.approx(each)
    assert (row["n"], row["queries"], row["removed"], row["seeds"], row["undefined"]) == (25, 4, 20, 2, 0)
    assert (row["method"], row["kind"], row["sample"]) == ("influence", "proximal", "all")


def test_what_is_kept_against_the_loss_gives_the_same(make_scores: Any, make_truth: Any) -> None:
    """Park et al. sum the scores of what is kept; our scores say what removing does, so theirs have the other sign."""
    scores, truth = made(make_scores, make_truth)
    kept = ~truth["member"].values
    predicted = kept.astype(float) @ -scores.values.T
    loss = truth["effect"].values[:, :, 0] + 3.0
    each = [stats.spearmanr(predicted[:, q], loss[:, q]).statistic for q in range(4)]
    assert linear_datamodeling(scores, truth)["lds"][0] == pytest.approx(np.mean(each))


def test_intervals_over_subsets_over_queries_and_over_both(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth)
    row = linear_datamodeling(scores, truth, resamples=2000).iloc[0]
    predicted, actual = truth["member"].values.astype(float) @ scores.values.T, truth["effect"].values[:, :, 0]
    generator = np.random.default_rng(1)
    drawn: dict[str, list[float]] = {"": [], "_subsets": [], "_queries": []}
    for _ in range(2000):
        for name, values in drawn.items():
            subsets = np.arange(25) if name == "_queries" else generator.integers(25, size=25)
            queries = np.arange(4) if name == "_subsets" else generator.integers(4, size=4)
            rho = {
                q: stats.spearmanr(predicted[subsets, q], actual[subsets, q]).statistic for q in set(queries.tolist())
            }
            values.append(float(np.mean([rho[q] for q in queries.tolist()])))
    for name, values in drawn.items():
        low, high = np.quantile(values, [0.025, 0.975])
        assert row[f"lds_low{name}"] == pytest.approx(low, abs=0.02)
        assert row[f"lds_high{name}"] == pytest.approx(high, abs=0.02)
        assert row[f"lds_low{name}"] < row["lds"] < row[f"lds_high{name}"]


def test_one_query_has_no_interval_over_queries(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth, queries=1)
    row = linear_datamodeling(scores, truth).iloc[0]
    assert np.isnan(row["lds_low_queries"])
    assert row["lds_low"] == row["lds_low_subsets"] < row["lds"]
    none = linear_datamodeling(scores, truth, resamples=0).iloc[0]
    assert np.isnan(none["lds_low"])
    assert none["lds"] == row["lds"]


def test_the_truths_own_agreement(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth, noise=1.0, seeds=3)
    row = linear_datamodeling(scores, truth).iloc[0]
    effect = truth["effect"].values
    pairs = [
        stats.spearmanr(effect[:, q, i], effect[:, q, j]).statistic
        for q in range(4)
        for i in range(3)
        for j in range(i)
    ]
    r = np.mean(pairs)
    assert row["retest"] == pytest.approx(r)
    assert row["attainable"] == pytest.approx((3 * r / (1 + 2 * r)) ** 0.5)
    # the scores are the noiseless truth here, so they reach what is attainable
    assert row["lds"] == pytest.approx(row["attainable"], abs=0.08)
    alone = linear_datamodeling(scores, made(make_scores, make_truth)[1]).iloc[0]
    assert np.isnan([alone["retest"], alone["attainable"]]).all()


def test_constant_scores_have_no_correlation_and_are_counted(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth)
    values = scores.values.copy()
    values[1] = 0.0
    row = linear_datamodeling(make_scores(values), truth).iloc[0]
    others = linear_datamodeling(scores, truth.isel(query=[0, 2, 3])).iloc[0]
    assert (row["undefined"], row["queries"]) == (1, 4)
    assert row["lds"] == pytest.approx(others["lds"])
    nothing = linear_datamodeling(make_scores(np.zeros((4, 40))), truth).iloc[0]
    assert nothing["undefined"] == 4
    assert np.isnan([nothing["lds"], nothing["lds_low"]]).all()


def test_single_removals_and_other_signs_are_refused(make_scores: Any, make_truth: Any) -> None:
    scores, truth = made(make_scores, make_truth)
    with pytest.raises(results.ResultError, match="retrain_on_subsets"):
        linear_datamodeling(scores, make_truth(np.random.default_rng(0).normal(size=(40, 4))))
    with pytest.raises(results.ResultError, match="the signs differ"):
        linear_datamodeling(scores.assign_attrs(sign=results.FAR), truth)
    near = linear_datamodeling(scores.assign_attrs(sign=results.NEAR, quantity="cosine"), truth)
    assert near["lds"][0] == pytest.approx(linear_datamodeling(scores, truth)["lds"][0])

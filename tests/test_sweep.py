"""The damping sweep: scores at several dampings beside one another and beside refits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import networks
import whence as wh
from problems import Problem, features, problem, untrained
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal

DAMPINGS = (0.3, 0.05, 1.0)
METHODS = [
    pytest.param(wh.InfluenceFunction(wh.Dense()), id="influence"),
    pytest.param(wh.InfluenceFunction(wh.Eigen(), curvature="gauss-newton"), id="gauss-newton"),
    pytest.param(wh.ApproximateLeaveOneOut(wh.Dense()), id="leverage"),
]


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_each_damping_by_hand(method: Any) -> None:
    p = problem("mlp")
    swept = wh.damping_sweep(method, p.task, p.train, p.queries, DAMPINGS)
    assert list(swept.scores) == sorted(DAMPINGS)
    assert swept.refused == {}
    for damping, scores in swept.scores.items():
        expected = replace(method, damping=damping).fit(p.task, p.train).attribute(p.queries)
        np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-9)
        assert scores.attrs["damping"] == damping


def test_stability_is_the_rank_correlation_of_neighbours() -> None:
    p = problem("mlp")
    swept = wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries, DAMPINGS)
    table = swept.stability
    assert len(table) == 2 * len(p.queries)
    for row in table.to_dict("records"):
        one, other = (swept.scores[row[name]].sel(query=row["query"]).values for name in ("damping", "next"))
        assert row["spearman"] == pytest.approx(stats.spearmanr(one, other).statistic)
        first, second = (set(np.argsort(-abs(values))[:10].tolist()) for values in (one, other))
        assert row["top_k_overlap"] == pytest.approx(len(first & second) / 10)
        assert (row["n"], row["k"]) == (len(p.train), 10)
    assert table[["damping", "next"]].drop_duplicates().values.tolist() == [[0.05, 0.3], [0.3, 1.0]]


def test_a_pilot_of_refits_says_which_damping_predicts_them() -> None:
    p = problem("mlp", count=60)
    removed = p.train.ids[::3]
    truth = leave_out(p.task, p.train, p.queries, removed, Proximal(0.1))
    method = wh.ApproximateLeaveOneOut(wh.Dense())
    swept = wh.damping_sweep(method, p.task, p.train, p.queries, (0.01, 0.1, 1.0), [truth])
    medians = swept.agreement.groupby("damping")["pearson"].median()
    assert medians.idxmax() == 0.1
    assert medians[0.1] > 0.99
    direct = wh.agreement(replace(method, damping=0.1).fit(p.task, p.train).attribute(p.queries), truth)
    mine = swept.agreement[swept.agreement["damping"] == 0.1]
    np.testing.assert_allclose(mine["pearson"], direct["pearson"], rtol=1e-6)
    assert set(swept.agreement["n"]) == {len(removed)}
    curves = swept.curves
    pilot = curves[curves["method"] == "proximal refits, all (Pearson)"]
    assert pilot["damping"].tolist() == [0.01, 0.1, 1.0]
    np.testing.assert_allclose(pilot["value"], medians)
    assert (pilot["low"] <= pilot["value"]).all()
    assert (pilot["value"] <= pilot["high"]).all()
    assert (pilot["queries"] == len(p.queries)).all()
    ranks = curves[curves["method"] == "ranks of the next damping (Spearman)"]
    np.testing.assert_allclose(ranks["damping"], [0.01**0.5 * 0.1**0.5, 0.1**0.5])
    axes = swept.figure("a sweep").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), ranks["value"])


def test_a_single_query_has_the_interval_over_its_removals() -> None:
    p = problem("mlp", count=60)
    truth = leave_out(p.task, p.train, p.queries[:1], p.train.ids[:20], Proximal(0.1))
    method = wh.InfluenceFunction(wh.Dense())
    swept = wh.damping_sweep(method, p.task, p.train, p.queries[:1], (0.1, 1.0), [truth])
    pilot = swept.curves[swept.curves["queries"] == 1].iloc[-2:]
    np.testing.assert_allclose(pilot["low"], swept.agreement["pearson_low"])


def test_dampings_that_are_too_small_are_named_and_the_others_answered() -> None:
    p = indefinite()
    swept = wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries, (1e-6, 2.0, 3.0))
    assert list(swept.scores) == [2.0, 3.0]
    assert "indefinite" in swept.refused[1e-6]
    with pytest.raises(ValueError, match=r"every damping up to 2e-06 leaves the curvature indefinite"):
        wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries, (1e-6, 2e-6))


def test_by_default_it_goes_around_the_automatic_damping() -> None:
    p = indefinite()
    swept = wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries)
    found = wh.InfluenceFunction(wh.Dense(), "auto").fit(p.task, p.train).damping
    asked = sorted([*swept.scores, *swept.refused])
    assert len(asked) == 7
    assert asked[3] == found
    np.testing.assert_allclose(np.diff(np.log10(asked)), 0.5, atol=0.03)


def test_the_curvature_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    dense = wh.Hessian.dense
    monkeypatch.setattr(wh.Hessian, "dense", lambda self, mapper=None: calls.append(1) or dense(self, mapper))
    p = problem("mlp")
    wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries, DAMPINGS)
    assert calls == [1]


@pytest.mark.parametrize("dampings", [(), (0.1, 0.1), (0.0, 0.1), (-1.0,), (float("nan"),)])
def test_impossible_dampings_are_refused(dampings: tuple[float, ...]) -> None:
    p = problem("mlp")
    with pytest.raises(ValueError, match="positive and different"):
        wh.damping_sweep(wh.InfluenceFunction(wh.Dense()), p.task, p.train, p.queries, dampings)


def test_methods_without_damping_are_refused() -> None:
    p = problem("mlp")
    with pytest.raises(TypeError, match="has no damping to sweep"):
        wh.damping_sweep(wh.GradientDot(), p.task, p.train, p.queries)


def indefinite() -> Problem:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return untrained(networks.mlp(), features(30, 4), torch.arange(30) % 3)

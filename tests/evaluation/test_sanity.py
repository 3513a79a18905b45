"""Checks without refits: against scipy, by hand, and on methods whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from torch import nn

import whence as wh
from whence import results
from whence.evaluation import class_detection, randomised_model, subclass_detection
from whence.models import reinitialised


def drawn(make_scores: Any, seed: int = 0, **attrs: Any) -> xr.DataArray:
    return make_scores(np.random.default_rng(seed).normal(size=(5, 30)), **attrs)


def test_rank_correlations_are_scipys(make_scores: Any) -> None:
    scores, others = drawn(make_scores), [drawn(make_scores, seed, checkpoint=str(seed)) for seed in (1, 2)]
    turned = others[0].isel(query=[4, 3, 2, 1, 0], train=np.random.default_rng(0).permutation(30))
    row = randomised_model(scores, [turned, others[1]]).iloc[0]
    rho = np.array([[stats.spearmanr(scores[q], one[q]).statistic for one in others] for q in range(5)])
    assert row["spearman"] == pytest.approx(rho.mean())
    assert abs(row["largest"]) == pytest.approx(abs(rho).max())
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"]
    assert (row["n"], row["queries"], row["models"], row["undefined"]) == (30, 5, 2, 0)


def test_scores_that_do_not_look_at_the_model_are_found_out(make_scores: Any) -> None:
    scores = drawn(make_scores)
    row = randomised_model(scores, [scores.assign_attrs(checkpoint="other")]).iloc[0]
    assert (row["spearman"], row["largest"]) == (1.0, 1.0)
    constant = randomised_model(scores, [make_scores(np.zeros((5, 30)), checkpoint="other")]).iloc[0]
    assert constant["undefined"] == 5
    assert np.isnan(constant["spearman"])


def test_a_real_model_and_one_drawn_anew() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(150, 6, generator=generator)
    y = (x[:, 0] + x[:, 1] > 0).long()
    net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
    for name, parameter in net.named_parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name)))
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    task, train, queries = wh.Classification(net), (x[:120], y[:120]), wh.as_examples((x[120:], y[120:]))
    for method, low, high in ((wh.GradientDot(), -0.7, 0.7), (wh.Similarity("input"), 0.999, 1.001)):
        scores = method.fit(task, train).attribute(queries)
        others = [method.fit(reinitialised(task, seed), train).attribute(queries) for seed in range(3)]
        assert low < randomised_model(scores, others)["spearman"][0] < high
    found = class_detection(wh.GradientDot().fit(task, train).attribute(queries), 5).iloc[0]
    assert found["share_low"] > 0.6 > found["chance"], "clearly above chance"


def test_what_does_not_belong_together_is_refused(make_scores: Any) -> None:
    scores, other = drawn(make_scores), drawn(make_scores, 1, checkpoint="other")
    for wrong, words in (
        (scores, "of one checkpoint"),
        (other.isel(train=slice(5)), "other train ids"),
        (other.assign_attrs(method="loss"), "scores by influence cannot be checked by loss"),
    ):
        with pytest.raises(results.ResultError, match=words):
            randomised_model(scores, [wrong])
    with pytest.raises(ValueError, match="at least one model"):
        randomised_model(scores, [])


def labelled(make_scores: Any, values: Any, train: Any, query: Any, **attrs: Any) -> xr.DataArray:
    scores = make_scores(np.asarray(values, dtype=float), **attrs)
    labels = {"train_label": ("train", np.array(train)), "query_label": ("query", np.array(query))}
    return scores.assign_coords(labels | {"query_prediction": ("query", np.array(query)[::-1])})


def test_the_share_of_the_top_that_carries_the_class(make_scores: Any) -> None:
    values = [[9, 8, 7, 1, 2, -5], [1, 2, 3, 9, -8, 7]]
    scores = labelled(make_scores, values, [0, 0, 1, 1, 1, 0], [0, 1])
    row = class_detection(scores, k=3).iloc[0]
    assert row["share"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert row["chance"] == 0.5
    assert (row["n"], row["k"], row["checked"]) == (2, 3, "label")
    predicted = class_detection(scores, k=3, of="prediction").iloc[0]
    assert predicted["share"] == pytest.approx((1 / 3 + 1 / 3) / 2)
    nearest = class_detection(scores.copy(data=-scores.values).assign_attrs(sign=results.FAR), k=3).iloc[0]
    assert nearest["share"] == pytest.approx(row["share"])
    assert class_detection(scores, k=6)["share"][0] == 0.5


def test_ties_are_worth_their_chance(make_scores: Any) -> None:
    scores = labelled(make_scores, [[1, 1, 1, 1, 0, 0]], [0, 1, 1, 1, 0, 0], [0])
    assert class_detection(scores, k=2)["share"][0] == pytest.approx(0.25)
    constant = labelled(make_scores, np.zeros((1, 6)), [0, 0, 1, 1, 1, 1], [0])
    assert class_detection(constant, k=3)["share"][0] == pytest.approx(1 / 3)


def test_finer_classes_and_both_chances(make_scores: Any) -> None:
    values = [[9, 8, -1, -2, 5, 0, 0, 0]]
    scores = labelled(make_scores, values, [0, 0, 0, 0, 1, 1, 1, 1], [0])
    train = xr.DataArray(list("aabbccdd"), dims="train", coords={"train": np.arange(8)})[::-1]
    query = xr.DataArray(["a"], dims="query", coords={"query": [0]})
    row = subclass_detection(scores, train, query, k=3).iloc[0]
    assert row["share"] == pytest.approx(2 / 3)
    assert (row["chance"], row["chance_in_class"]) == (0.25, 0.5)
    assert row["checked"] == "subclass"
    bare = scores.drop_vars(["query_label"])
    assert "chance_in_class" not in subclass_detection(bare, train, query, k=3)
    with pytest.raises(results.ResultError, match="1 are absent"):
        subclass_detection(scores, train[1:], query)


def test_intervals_are_over_queries(make_scores: Any) -> None:
    generator = np.random.default_rng(0)
    scores = labelled(make_scores, generator.normal(size=(40, 60)), np.arange(60) % 3, np.arange(40) % 3)
    row = class_detection(scores, k=5).iloc[0]
    each = []
    for q in range(40):
        top = np.argsort(-scores.values[q])[:5]
        each.append((np.arange(60)[top] % 3 == q % 3).mean())
    means = [np.mean(generator.choice(each, 40)) for _ in range(4000)]
    assert row["share"] == pytest.approx(np.mean(each))
    np.testing.assert_allclose([row["share_low"], row["share_high"]], np.quantile(means, [0.025, 0.975]), atol=0.015)
    single = class_detection(scores.isel(query=[0]), k=5).iloc[0]
    assert np.isnan(single["share_low"])


def test_impossible_wishes_are_refused(make_scores: Any) -> None:
    scores = labelled(make_scores, [[1.0, 2.0]], [0, 1], [0])
    for k in (0, 3):
        with pytest.raises(ValueError, match="k must lie between 1 and 2"):
            class_detection(scores, k=k)
    with pytest.raises(results.ResultError, match="lack the classes"):
        class_detection(scores.drop_vars("train_label"), k=1)
    with pytest.raises(results.ResultError, match="lack the classes"):
        class_detection(labelled(make_scores, [[1.0, 2.0]], [0.5, 1.5], [0.5]), k=1)

"""Law: order and company do not matter. Permuted examples have permuted scores; a query is scored alone."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cases
from problems import problem

ORDERED = cases.where(lambda method: not method.samples)


def assert_same(found: xr.DataArray, expected: xr.DataArray) -> None:
    """The same ids with the same scores and labels, in whatever order."""
    assert set(found["train"].values.tolist()) == set(expected["train"].values.tolist())
    turned = found.sel(query=expected["query"].values, train=expected["train"].values)
    np.testing.assert_allclose(turned, expected, rtol=1e-6, atol=1e-7 * float(abs(expected).max()))
    np.testing.assert_array_equal(turned["train_label"], expected["train_label"])
    np.testing.assert_allclose(turned["train_loss"], expected["train_loss"], rtol=1e-9)


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("method", ORDERED)
def test_permuting_the_training_set_permutes_the_scores(method: cases.Method, objective: str) -> None:
    p = problem("mlp", objective)
    order = np.random.default_rng(0).permutation(len(p.train))
    expected = method.fit(p).attribute(p.queries)
    explainer = method.attributor.fit(p.task, p.train[order])
    found = explainer.attribute(p.queries)
    assert found["train"].values.tolist() == p.train.ids[order].tolist()
    assert_same(found, expected)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_permuting_and_splitting_the_queries_changes_no_row(method: cases.Method) -> None:
    p = problem("shared")
    explainer = method.fit(p)
    together = explainer.attribute(p.queries)
    backwards = explainer.attribute(p.queries[[4, 3, 2, 1, 0]])
    assert backwards["query"].values.tolist() == together["query"].values.tolist()[::-1]
    assert_same(backwards, together)
    alone = xr.concat([explainer.attribute(p.queries[[i]]) for i in range(5)], "query")
    assert_same(alone, together)


@pytest.mark.parametrize("method", cases.where(lambda method: method.samples))
def test_sampling_methods_agree_with_themselves_within_their_noise(method: cases.Method) -> None:
    p = problem("mlp")
    order = np.random.default_rng(0).permutation(len(p.train))
    expected = method.fit(p).attribute(p.queries)
    found = method.attributor.fit(p.task, p.train[order]).attribute(p.queries).sel(train=expected["train"].values)
    assert np.corrcoef(found.values.ravel(), expected.values.ravel())[0, 1] > 0.95

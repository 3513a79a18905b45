"""Laws of selecting: k keeps the extremes with their values, and self-influence is the diagonal."""

from __future__ import annotations

import numpy as np
import pytest

import cases
import whence as wh
from problems import problem


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_k_returns_the_union_of_the_extremes_unchanged(method: cases.Method) -> None:
    p = problem("mlp")
    explainer = method.fit(p)
    whole, part = explainer.attribute(p.queries), explainer.attribute(p.queries, k=2)
    wanted = set()
    for row in whole.values:
        order = np.argsort(row, kind="stable")
        wanted |= set(order[:2].tolist()) | set(order[-2:].tolist())
    assert part["train"].values.tolist() == sorted(wanted)
    np.testing.assert_allclose(part, whole.sel(train=part["train"].values), rtol=1e-8)
    assert part["train_label"].values.tolist() == whole["train_label"].sel(train=part["train"].values).values.tolist()
    assert part.attrs["method"] == whole.attrs["method"]


def test_k_beyond_the_training_set_is_all_of_it_and_below_one_is_refused() -> None:
    p = problem("mlp")
    explainer = wh.Loss().fit(p.task, p.train)
    assert explainer.attribute(p.queries, k=1000).equals(explainer.attribute(p.queries))
    with pytest.raises(ValueError, match="k must be at least 1"):
        explainer.attribute(p.queries, k=0)


@pytest.mark.parametrize(("name", "objective"), [("shared", "mean"), ("logistic-3", "sum")])
@pytest.mark.parametrize("method", cases.where(lambda method: not method.samples))
def test_self_influence_is_the_diagonal(method: cases.Method, name: str, objective: str) -> None:
    """Sampling methods have a law of their own below: their error depends on the right-hand side, which differs."""
    p = problem(name, objective)
    explainer = method.fit(p)
    scores, own = explainer.attribute(p.train), explainer.self_influence()
    assert own.dims == ("train",)
    assert own["train"].values.tolist() == p.train.ids.tolist()
    np.testing.assert_allclose(own, np.diag(scores), rtol=1e-6, atol=1e-8 * float(abs(scores).max()))


@pytest.mark.parametrize("method", cases.where(lambda method: method.samples))
def test_self_influence_of_sampling_methods_is_near_the_diagonal(method: cases.Method) -> None:
    p = problem("mlp")
    explainer = method.fit(p)
    own, scores = explainer.self_influence(), explainer.attribute(p.train)
    assert np.corrcoef(own, np.diag(scores))[0, 1] > 0.99


@pytest.mark.parametrize("method", cases.where(lambda method: method.loss_units and not method.samples))
def test_self_influence_measures_what_was_asked(method: cases.Method) -> None:
    p = problem("logistic-3", measure="margin")
    explainer = method.fit(p)
    own, scores = explainer.self_influence(), explainer.attribute(p.train)
    np.testing.assert_allclose(own, np.diag(scores), rtol=1e-6, atol=1e-8 * float(abs(scores).max()))
    assert float(own.mean()) < 0

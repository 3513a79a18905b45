"""Prediction of queries that were held out: nothing of theirs enters a fit, and what can be learnt is learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whence.evaluation.bootstrap import Bootstrap
from whence.evaluation.statistics import spearman
from whence.predictor import Boosted, Features, ThesisNetwork, folds_of, held_out, predict_held_out, summary

FEW = Bootstrap(resamples=50)
FAST = Boosted("asinh", iterations=60, leaves=6, smallest=10)


def problem(queries: int = 8, train: int = 120) -> tuple[Features, np.ndarray, np.ndarray]:
    """Effects are kernel times a gate that is a feature too, in a size of its own for each query."""
    generator = np.random.default_rng(0)
    kernel, gate = generator.normal(size=(queries, train)), generator.integers(0, 2, size=(queries, train))
    sizes = 10.0 ** generator.uniform(-5, 0, size=(queries, 1))
    values = np.stack([kernel * sizes, gate], 2).astype(np.float32)
    features = Features(values, ("preconditioned kernel", "gate"), ("preconditioned kernel",))
    return features, sizes * kernel * (2 * gate - 1), np.arange(queries) + 50


@pytest.mark.parametrize("target", ["rms", "asinh", "ranks"])
def test_learns_across_queries_of_very_different_size(target) -> None:
    features, effects, ids = problem()
    choice = Boosted(target, iterations=60, leaves=6, smallest=10)
    predicted = predict_held_out(choice, features, effects, folds_of(ids, 4))
    assert min(spearman(p, e) for p, e in zip(predicted, effects, strict=True)) > 0.9
    assert abs(spearman(features["preconditioned kernel"][0].astype(float), effects[0])) < 0.3


@pytest.mark.parametrize("poison", [np.nan, 1e9])
def test_effects_of_held_out_queries_never_enter_their_fit(poison: float) -> None:
    features, effects, ids = problem()
    fold = folds_of(ids, 4)
    clean = predict_held_out(FAST, features, effects, fold)
    for number in range(4):
        spoilt = effects.copy()
        spoilt[fold == number] = poison
        found = predict_held_out(FAST, features, spoilt, fold)
        np.testing.assert_array_equal(found[fold == number], clean[fold == number])


def test_features_of_other_queries_never_enter_a_prediction() -> None:
    features, effects, _ = problem()
    fitted = FAST.fit(features, effects)
    alone = fitted.predict(features.of(np.array([2])))
    np.testing.assert_array_equal(alone[0], fitted.predict(features)[2])


def test_folds_keep_an_id_together() -> None:
    ids = np.array([7, 8, 7, 9, 10, 9])
    fold = folds_of(ids, 3)
    assert fold[0] == fold[2]
    assert fold[3] == fold[5]
    assert set(fold) == {0, 1, 2}
    with pytest.raises(ValueError, match="5 folds of 4 queries"):
        folds_of(ids, 5)


def test_table_and_summary() -> None:
    features, effects, ids = problem()
    effects[3] = np.nan
    effects[0, :20] = np.nan
    inputs = np.random.default_rng(1).normal(size=(120, 3))
    networks = {"thesis": ThesisNetwork(epochs=2)}
    table = held_out(
        features, effects, ids, folds=4, boosted={"trees": FAST}, networks=networks, inputs=inputs, bootstrap=FEW
    )
    assert list(table.columns[:3]) == ["predictor", "query", "n"]
    own, other = "thesis, held-out removals of its query", "thesis, applied to another query"
    assert set(table["predictor"]) == {"trees", "preconditioned kernel", own, other}
    trees = table[table["predictor"] == "trees"].set_index("query")
    assert trees["n"].to_dict() == {50: 100, 51: 120, 52: 120, 53: 0} | dict.fromkeys(range(54, 58), 120)
    assert np.isnan(trees.loc[53, "spearman"])
    assert (trees["spearman_low"].dropna() <= trees["spearman"].dropna()).all()
    assert len(table[table["predictor"] == own]) == 7
    short = summary(table, FEW).set_index("predictor")
    assert short.index[0] == "trees"
    assert short.loc["trees", "queries"] == 7
    assert short.loc["trees", "spearman"] == pytest.approx(trees["spearman"].median())
    assert short.loc["trees", "spearman_low"] <= short.loc["trees", "spearman"] <= short.loc["trees", "spearman_high"]


def test_undefined_queries_never_make_a_predictor_the_best() -> None:
    rows = [("patchy", 1, 0.99), ("patchy", 2, np.nan), ("good", 1, 0.5), ("good", 2, 0.7), ("poor", 1, 0.1)]
    rows += [("poor", 2, 0.2), ("constant", 1, np.nan), ("constant", 2, np.nan)]
    table = pd.DataFrame([{"predictor": p, "query": q, "n": 9, "spearman": s, "pearson": s} for p, q, s in rows])
    short = summary(table, FEW)
    assert list(short["predictor"]) == ["good", "poor", "patchy", "constant"]
    assert list(short["undefined"]) == [0, 0, 1, 2]
    assert list(summary(table[table["predictor"].isin(["patchy", "constant"])], FEW)["undefined"]) == [1, 2]


def test_constant_feature_is_undefined_and_last() -> None:
    features, effects, ids = problem()
    features.values[1:, :, 0] = 0
    table = held_out(features, effects, ids, folds=4, boosted={"trees": FAST}, bootstrap=FEW)
    short = summary(table, FEW).set_index("predictor")
    assert list(short.index) == ["trees", "preconditioned kernel"]
    assert short.loc["preconditioned kernel", "undefined"] == 7


def test_network_never_sees_the_other_query() -> None:
    features, effects, ids = problem(4)
    inputs = np.random.default_rng(1).normal(size=(120, 3))
    networks = {"thesis": ThesisNetwork(epochs=2, scale=True)}

    def tables(effects: np.ndarray) -> dict[str, float]:
        found = held_out(features, effects, ids, folds=2, boosted={}, networks=networks, inputs=inputs, bootstrap=FEW)
        return found[found["predictor"].str.contains("its query")].set_index("query")["pearson"].to_dict()

    spoilt = effects.copy()
    spoilt[1] = 1e6 * np.random.default_rng(2).normal(size=120)
    clean, found = tables(effects), tables(spoilt)
    assert {q: found[q] for q in (50, 52, 53)} == {q: clean[q] for q in (50, 52, 53)}
    assert found[51] != clean[51]


def test_refuses() -> None:
    features, effects, ids = problem()
    with pytest.raises(ValueError, match="one effect a pair"):
        held_out(features, effects[:, 1:], ids)
    with pytest.raises(ValueError, match="thesis_inputs"):
        held_out(features, effects, ids, folds=4, boosted={}, networks={"thesis": ThesisNetwork()}, bootstrap=FEW)
    with pytest.raises(ValueError, match="target must be one of"):
        Boosted("log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no effect is finite"):
        FAST.fit(features, np.full_like(effects, np.nan))
    with pytest.raises(ValueError, match="other features"):
        FAST.fit(features, effects).predict(Features(features.values, ("a", "b")))

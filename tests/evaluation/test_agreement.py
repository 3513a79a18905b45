"""Agreement of scores with leave-one-out and subset truths."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from whence.evaluation import agreement, summary
from whence.results import ResultError

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(3, 40))
EFFECT = (VALUES + RNG.normal(size=VALUES.shape)).T[:, :, None] + 0.1 * RNG.normal(size=(40, 3, 4))
CHOSEN = RNG.random((2, 3, 40)) < 0.5


def test_leave_one_out_equals_scipy(make_scores, make_truth) -> None:
    table = agreement(make_scores(VALUES), make_truth(EFFECT), k=5)
    assert table["query"].tolist() == [0, 1, 2]
    assert (table["sample"] == "all").all()
    assert (table["method"] == "influence").all()
    assert (table["kind"] == "proximal").all()
    assert (table["n"] == 40).all()
    assert table["lds"].isna().all()
    assert table["unconverged"].isna().all()
    for query, row in enumerate(table.itertuples()):
        actual = EFFECT[:, query].mean(axis=1)
        assert row.pearson == pytest.approx(stats.pearsonr(VALUES[query], actual)[0], abs=1e-12)
        assert row.spearman == pytest.approx(stats.spearmanr(VALUES[query], actual)[0], abs=1e-12)
        top = [set(np.argsort(-np.abs(side))[:5]) for side in (VALUES[query], actual)]
        assert row.top_k_overlap == pytest.approx(len(top[0] & top[1]) / 5)
        pairs = [stats.pearsonr(EFFECT[:, query, i], EFFECT[:, query, j])[0] for i in range(4) for j in range(i)]
        assert row.ceiling == pytest.approx(np.mean(pairs))
        assert row.pearson_low < row.pearson < row.pearson_high
        assert row.spearman_low < row.spearman < row.spearman_high


def test_perfect_scores(make_scores, make_truth) -> None:
    row = agreement(make_scores(VALUES), make_truth(VALUES.T)).iloc[0]
    for name in ("pearson", "pearson_low", "spearman", "spearman_high", "within_sign_pearson", "top_k_overlap"):
        assert row[name] == pytest.approx(1.0)
    assert np.isnan(row["ceiling"])


def test_order_of_examples_and_removals_changes_nothing(make_scores, make_truth) -> None:
    scores, truth = make_scores(VALUES), make_truth(EFFECT)
    shuffled = scores.isel(train=RNG.permutation(40), query=[2, 0, 1])
    pd.testing.assert_frame_equal(agreement(scores, truth), agreement(shuffled, truth))
    turned = truth.isel(train=RNG.permutation(40), removed=RNG.permutation(40))
    exact = ["pearson", "spearman", "within_sign_pearson", "top_k_overlap", "ceiling"]
    pd.testing.assert_frame_equal(agreement(scores, truth)[exact], agreement(scores, turned)[exact])


def test_more_scores_than_truth_are_fine_and_fewer_are_not(make_scores, make_truth) -> None:
    scores, truth = make_scores(VALUES), make_truth(EFFECT)
    few = truth.isel(query=[1], train=slice(10), removed=slice(10))
    assert agreement(scores, few)["n"].tolist() == [10]
    with pytest.raises(ResultError, match=r"lack 1 train ids of the truth: \[7\]"):
        agreement(scores.drop_sel(train=7), truth)
    with pytest.raises(ResultError, match=r"lack 1 query ids of the truth: \[2\]"):
        agreement(scores.isel(query=[0, 1]), truth)
    with pytest.raises(ResultError, match="train ids"):
        agreement(scores.assign_coords(train=[f"{i}" for i in range(40)]), truth)


def test_repeated_ids_raise(make_scores, make_truth) -> None:
    scores, truth = make_scores(VALUES), make_truth(EFFECT)
    with pytest.raises(ResultError, match="unique"):
        agreement(scores.assign_coords(train=[0, 0, *range(2, 40)]), truth)
    with pytest.raises(ResultError, match="unique"):
        agreement(scores, truth.assign_coords(removed=[0, 0, *range(2, 40)]))


def test_another_quantity_is_compared_by_rank_only(make_scores, make_truth) -> None:
    truth = make_truth(EFFECT)
    for attrs in ({"quantity": "cosine similarity"}, {"unit": "bit"}):
        scores = make_scores(VALUES, **attrs)
        with pytest.raises(ResultError, match=r"quantities differ.*rank_only=True"):
            agreement(scores, truth)
        table, usual = agreement(scores, truth, rank_only=True), agreement(make_scores(VALUES), truth)
        for name in ("pearson", "pearson_low", "pearson_high", "within_sign_pearson"):
            assert table[name].isna().all()
        for name in ("spearman", "spearman_low", "spearman_high", "top_k_overlap", "ceiling"):
            assert table[name].tolist() == usual[name].tolist()
    with pytest.raises(ResultError, match="signs differ"):
        agreement(make_scores(VALUES, sign="positive = harmful"), truth)


def test_subsets_give_the_linear_datamodeling_score(make_scores, make_truth) -> None:
    member = RNG.random((25, 40)) < 0.5
    effect = member @ VALUES.T + RNG.normal(size=(25, 3))
    table = agreement(make_scores(VALUES), make_truth(effect, member))
    for query, row in enumerate(table.itertuples()):
        kept = (~member) @ VALUES[query]
        # The published score correlates the summed scores of what remains with the outputs: both sides turn round.
        assert row.lds == row.spearman == pytest.approx(stats.spearmanr(-kept, effect[:, query])[0])
    assert (table["n"] == 25).all()


def test_chosen_samples(make_scores, make_truth) -> None:
    converged = np.ones((40, 4), dtype=bool)
    converged[3, 2] = converged[8] = False
    variables = {"chosen": (("sample", "query", "removed"), CHOSEN), "converged": (("removed", "seed"), converged)}
    truth = make_truth(EFFECT, variables=variables, coords={"sample": ["most influential", "random"]})
    table = agreement(make_scores(VALUES), truth)
    assert table["sample"].tolist() == ["most influential"] * 3 + ["random"] * 3
    for row, (sample, query) in zip(table.itertuples(), np.ndindex(2, 3), strict=True):
        mask = CHOSEN[sample, query]
        assert row.n == mask.sum()
        assert row.unconverged == mask[3].sum() + mask[8].sum()
        assert row.pearson == pytest.approx(stats.pearsonr(VALUES[query, mask], EFFECT[mask, query].mean(axis=1))[0])
    with pytest.raises(ResultError, match="assign_coords"):
        agreement(make_scores(VALUES), truth.drop_vars("sample"))


def test_undefined_is_nan_without_a_warning(make_scores, make_truth) -> None:
    truth = make_truth(EFFECT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = agreement(make_scores(np.full((3, 40), 0.1)), truth)
        short = agreement(make_scores(VALUES), truth.isel(removed=slice(2)))
        none = agreement(make_scores(VALUES), truth.isel(removed=slice(0)))
        summary(none)
    for table in (constant, short, none):
        assert (
            table[["pearson", "pearson_low", "spearman", "spearman_high", "within_sign_pearson"]].isna().all(axis=None)
        )
    assert constant["top_k_overlap"].tolist() == pytest.approx([10 / 40] * 3)
    assert none["n"].tolist() == [0, 0, 0]


def test_values_that_are_not_finite_give_nan_and_a_warning(make_scores, make_truth) -> None:
    broken = VALUES.copy()
    broken[1, 5] = np.nan
    with pytest.warns(UserWarning, match="1 predicted and 0 actual"):
        table = agreement(make_scores(broken), make_truth(EFFECT))
    assert table["pearson"].isna().tolist() == [False, True, False]
    assert table["top_k_overlap"].isna().tolist() == [False, True, False]


def test_impossible_choices_raise(make_scores, make_truth) -> None:
    scores, truth = make_scores(VALUES), make_truth(EFFECT)
    for wrong in ({"k": 0}, {"resamples": -1}, {"confidence": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            agreement(scores, truth, **wrong)
    with pytest.raises(ResultError, match="astype"):
        agreement(scores, truth.assign(member=truth["member"].astype(int)))
    with pytest.raises(ResultError, match="holds no seed"):
        agreement(scores, truth.isel(seed=slice(0)))


def test_summary(make_scores, make_truth) -> None:
    truth = make_truth(EFFECT)
    tables = [agreement(make_scores(VALUES, method=name), truth) for name in ("b", "a")]
    short = summary(pd.concat(tables))
    assert short["method"].tolist() == ["b", "a"]
    row = short.iloc[0]
    assert (row["queries"], row["undefined"], row["n"]) == (3, 0, 40)
    for name in ("pearson", "spearman"):
        assert row[f"median_{name}"] == np.median(tables[0][name])
        assert row[f"min_{name}"] == tables[0][name].min()
        assert row[f"median_{name}_low"] <= row[f"median_{name}"] <= row[f"median_{name}_high"]
    assert row["median_ceiling"] == np.median(tables[0]["ceiling"])
    with pytest.raises(ValueError, match="agreement"):
        summary(pd.DataFrame({"method": ["a"]}))


def test_twenty_queries_take_little_time(make_scores, make_truth) -> None:
    values = RNG.normal(size=(20, 400))
    half = np.arange(400) < 200
    chosen = np.stack([np.tile(half, (20, 1)), np.tile(~half, (20, 1))])
    variables = {"chosen": (("sample", "query", "removed"), chosen)}
    truth = make_truth(values.T + 1, variables=variables, coords={"sample": ["a", "b"]})
    began = time.process_time()
    assert len(agreement(make_scores(values), truth)) == 40
    assert time.process_time() - began < 6

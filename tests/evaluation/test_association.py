"""Correlations of quantities of another kind with effects, against scipy, and the choice by sides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from whence.evaluation import association, choose_removals
from whence.evaluation.choosing import MOST


def test_association_is_a_correlation_whatever_the_unit(make_scores, make_truth) -> None:
    generator = np.random.default_rng(0)
    scores = make_scores(generator.normal(size=(3, 12)), quantity="cosine similarity", unit="none")
    truth = make_truth(generator.normal(size=(12, 3)))
    table = association(scores, truth)
    for _, row in table.iterrows():
        effect = truth["effect"].mean("seed").sel(query=row["query"])
        predicted = scores.sel(query=row["query"]).values @ truth["member"].sel(train=scores["train"].values).values.T
        assert row["pearson"] == pytest.approx(stats.pearsonr(predicted, effect.values)[0])
        assert row["spearman"] == pytest.approx(stats.spearmanr(predicted, effect.values)[0])
        assert row["pearson_low"] <= row["pearson"] <= row["pearson_high"]
        assert row["quantity"] == "cosine similarity"
    sized = association(scores, truth, absolute=True).iloc[0]
    effect = np.abs(truth["effect"].mean("seed").sel(query=sized["query"]).values)
    predicted = scores.sel(query=sized["query"]).values @ truth["member"].sel(train=scores["train"].values).values.T
    assert sized["pearson"] == pytest.approx(stats.pearsonr(predicted, effect)[0])


@pytest.mark.parametrize("most", [1, 4, 5])
def test_sides_takes_the_largest_and_the_smallest(make_scores, most: int) -> None:
    scores = make_scores(np.random.default_rng(1).normal(size=(3, 12)))
    plan = choose_removals(scores, most, 0, sides=True).sel(sample=MOST)
    for query in scores["query"].values:
        row = scores.sel(query=query)
        order = row["train"].values[np.argsort(-row.values)]
        low = most // 2
        expected = {*order[: most - low], *(order[len(order) - low :] if low else [])}
        assert set(plan["removed"].values[plan.sel(query=query).values]) == expected

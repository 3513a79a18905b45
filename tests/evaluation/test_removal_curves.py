"""Removal curves: what is planned, what is read from the truth, and that good rankings beat chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import whence as wh
from problems import problem
from whence import results
from whence.evaluation import plan_removals, removal_areas, removal_curves
from whence.retraining import Proximal, leave_out

SIZES = (1, 3, 6)


def given(make_scores: Any, seed: int = 0, **attrs: Any) -> xr.DataArray:
    generator = np.random.default_rng(seed)
    scores = make_scores(generator.normal(size=(3, 20)), **attrs)
    return scores.assign_coords(train_loss=("train", generator.random(20)))


def truth_for(plan: Any, make_truth: Any, seed: int = 9, seeds: int = 2) -> xr.Dataset:
    effect = np.random.default_rng(seed).normal(size=(len(plan.groups), 3, seeds))
    member = np.zeros((len(plan.groups), 20), dtype=bool)
    for row, ids in enumerate(plan.groups.values()):
        member[row, ids] = True
    converged = np.ones((len(plan.groups), seeds), dtype=bool)
    converged[0, 1] = False
    found = make_truth(effect, member, {"converged": (("removed", "seed"), converged)})
    return found.assign_coords(removed=list(plan.groups))


def test_what_each_ranking_removes(make_scores: Any) -> None:
    scores = given(make_scores)
    for side, turn in (("helpful", -1), ("harmful", 1)):
        plan = plan_removals({"mine": scores}, SIZES, draws=2, side=side)
        for row in plan.steps.to_dict("records"):
            values = scores.sel(query=row["query"]).values
            removed = set(plan.groups[row["group"]])
            assert len(removed) == row["k"]
            if row["ranking"] == "mine":
                assert removed == set(np.argsort(turn * values)[: row["k"]].tolist())
            if row["ranking"] == "largest loss":
                assert removed == set(np.argsort(-scores["train_loss"].values)[: row["k"]].tolist())
        assert len(plan.steps) == 3 * (1 + 1 + 2) * len(SIZES)


def test_random_sets_are_those_of_the_seed_nested_and_the_same_for_all_queries(make_scores: Any) -> None:
    plan, other = (plan_removals({"mine": given(make_scores)}, SIZES, draws=3, seed=seed) for seed in (0, 1))
    chance = plan.steps[plan.steps["ranking"] == "random"]
    assert (chance.groupby(["k", "draw"])["group"].nunique() == 1).all()
    for _, rows in chance[chance["query"] == 0].groupby("draw"):
        sets = [set(plan.groups[name]) for name in rows.sort_values("k")["group"]]
        assert sets[0] < sets[1] < sets[2]
    assert chance["group"].tolist() != other.steps.loc[chance.index, "group"].tolist()


def test_a_set_that_several_ask_for_is_refitted_once(make_scores: Any) -> None:
    scores = given(make_scores)
    plan = plan_removals({"mine": scores, "same": 2 * scores.assign_attrs(scores.attrs)}, SIZES, draws=0)
    mine, same = (plan.steps[plan.steps["ranking"] == name]["group"].tolist() for name in ("mine", "same"))
    assert mine == same
    assert len(plan.groups) == len(set(plan.steps["group"]))


def test_similarities_and_distances_remove_the_nearest(make_scores: Any) -> None:
    scores = given(make_scores)
    near = plan_removals({"x": scores.assign_attrs(sign=results.NEAR)}, (2,), 0, side="harmful")
    far = plan_removals({"x": (-scores).assign_attrs(scores.attrs | {"sign": results.FAR})}, (2,), 0)
    helpful = plan_removals({"x": scores}, (2,), 0)
    assert near.steps["group"].tolist() == far.steps["group"].tolist() == helpful.steps["group"].tolist()


def test_curves_are_means_over_queries_of_means_over_draws_and_seeds(make_scores: Any, make_truth: Any) -> None:
    plan = plan_removals({"mine": given(make_scores)}, SIZES, draws=3)
    truth = truth_for(plan, make_truth)
    table = removal_curves(plan, truth).set_index(["ranking", "k"])
    for (ranking, k), rows in plan.steps.groupby(["ranking", "k"]):
        each = []
        for query, mine in rows.groupby("query"):
            values = [float(truth["effect"].sel(removed=name, query=query).mean()) for name in mine["group"]]
            each.append(np.mean(values))
        row = table.loc[(ranking, k)]
        assert row["effect"] == pytest.approx(np.mean(each))
        assert min(each) - 1e-12 <= row["effect_low"] <= row["effect"] <= row["effect_high"] <= max(each) + 1e-12
        assert row["n"] == 3
        unsound = truth["removed"].values[0]
        assert row["unconverged"] == int(unsound in rows["group"].tolist())
        assert row["chosen"].startswith({"mine": "first by", "random": "drawn at", "largest loss": "largest"}[ranking])


def test_areas_are_trapezoids_on_log_k_and_paired_with_chance(make_scores: Any, make_truth: Any) -> None:
    plan = plan_removals({"mine": given(make_scores)}, SIZES, draws=3)
    truth = truth_for(plan, make_truth)
    curves, areas = removal_curves(plan, truth), removal_areas(plan, truth).set_index("ranking")
    expected = {}
    for ranking, rows in curves.groupby("ranking"):
        rows = rows.sort_values("k")
        expected[ranking] = np.trapezoid(rows["effect"], np.log(rows["k"])) / np.log(6)
        assert areas.loc[ranking, "area"] == pytest.approx(expected[ranking])
    assert areas.loc["mine", "above_random"] == pytest.approx(expected["mine"] - expected["random"])
    assert areas.loc["random", ["above_random", "above_random_low", "above_random_high"]].tolist() == [0, 0, 0]
    one = plan_removals({"mine": given(make_scores)}, (4,), draws=0)
    alone = truth_for(one, make_truth)
    area = removal_areas(one, alone).set_index("ranking")
    assert "above_random" not in area
    assert area.loc["mine", "area"] == pytest.approx(
        removal_curves(one, alone).set_index("ranking").loc["mine", "effect"]
    )


def test_influence_beats_chance_on_real_refits() -> None:
    p = problem("logistic-3", count=60)
    scores = {
        "influence": wh.InfluenceFunction(wh.Dense(), damping=0.01).fit(p.task, p.train).attribute(p.queries),
        "chance": wh.Random(seed=4).fit(p.task, p.train).attribute(p.queries),
    }
    plan = plan_removals(scores, (2, 8), draws=3)
    truth = leave_out(p.task, p.train, p.queries, plan.groups, Proximal(0.01))
    areas = removal_areas(plan, truth).set_index("ranking")
    assert areas.loc["influence", "above_random_low"] > 0
    assert areas.loc["influence", "area"] > 3 * abs(areas.loc["chance", "area"])
    harmful = plan_removals({"influence": scores["influence"]}, (8,), draws=0, side="harmful")
    worse = leave_out(p.task, p.train, p.queries, harmful.groups, Proximal(0.01))
    assert removal_curves(harmful, worse).set_index("ranking").loc["influence", "effect"] < 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": ()}, "sizes must rise"),
        ({"sizes": (3, 1)}, "sizes must rise"),
        ({"sizes": (20,)}, "between 1 and 19"),
        ({"draws": -1}, "draws is 0 or more"),
        ({"side": "both"}, "helpful or harmful"),
    ],
)
def test_impossible_plans_are_refused(make_scores: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_removals({"mine": given(make_scores)}, **options)


def test_what_does_not_belong_together_is_refused(make_scores: Any, make_truth: Any) -> None:
    scores = given(make_scores)
    with pytest.raises(results.ResultError, match="other train ids"):
        plan_removals({"mine": scores, "other": scores.isel(train=slice(5))}, (1,))
    with pytest.raises(results.ResultError, match="carry no train_loss"):
        plan_removals({"mine": scores.drop_vars("train_loss")}, (1,))
    with pytest.raises(ValueError, match="a baseline that is always there"):
        plan_removals({"random": scores}, (1,))
    plan = plan_removals({"mine": scores}, (1,))
    truth = truth_for(plan, make_truth)
    with pytest.raises(results.ResultError, match="lacks 1 groups"):
        removal_curves(plan, truth.isel(removed=slice(1, None)))
    with pytest.raises(results.ResultError, match=r"lacks the queries \[2\]"):
        removal_areas(plan, truth.isel(query=[0, 1]))

"""Random subsets: how they are drawn, that refits are those of the groups, and that finished ones are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import networks
import oracles
import whence as wh
from problems import problem
from whence.execution.store import RunFolder
from whence.objective import objective_of
from whence.retraining import Adam, FromScratch, Proximal, random_subsets, retrain_on_subsets
from whence.retraining.jobs import MemoryShelf
from whence.retraining.leave_out import leave_out


def test_subsets_are_of_one_size_and_drawn_uniformly() -> None:
    ids = np.array([f"x{i}" for i in range(30)])
    found = random_subsets(ids, 2000, keep=0.7, seed=1)
    assert list(found)[:2] == ["subset-0", "subset-1"]
    counts = dict.fromkeys(ids.tolist(), 0)
    for left_out in found.values():
        assert len(set(left_out.tolist())) == 9
        for identity in left_out.tolist():
            counts[identity] += 1
    # binomial(2000, 0.3): five standard deviations
    assert max(abs(count - 600) for count in counts.values()) < 5 * (2000 * 0.3 * 0.7) ** 0.5


def test_more_can_be_drawn_later_and_the_seed_decides() -> None:
    ids = np.arange(20)
    few, many, other = random_subsets(ids, 3), random_subsets(ids, 9), random_subsets(ids, 3, seed=1)
    assert all(few[name].tolist() == many[name].tolist() for name in few)
    assert any(few[name].tolist() != other[name].tolist() for name in few)


@pytest.mark.parametrize("keep", [0, 1, -0.5, 2, 0.999, 0.01])
def test_subsets_that_keep_all_or_none_are_refused(keep: float) -> None:
    with pytest.raises(ValueError, match="in and some out"):
        random_subsets(np.arange(20), 3, keep)
    with pytest.raises(ValueError, match="0 subsets"):
        random_subsets(np.arange(20), 0)


def test_effects_are_those_of_ridge_regression_on_each_subset() -> None:
    p = problem("ridge")
    truth = retrain_on_subsets(p.task, p.train, p.queries, Proximal(1e-9, tolerance=1e-9), count=4, keep=0.5, seed=2)
    assert truth.attrs["chosen"] == "4 random subsets, each without 12 of 24 examples, drawn with seed 2"
    assert truth["member"].values.sum(1).tolist() == [12] * 4
    o, batch = objective_of(p.task, p.train), p.queries.take(slice(None))
    for row, member in enumerate(truth["member"].values):
        theta = oracles.ridge(o, oracles.without(o.count, *np.flatnonzero(member).tolist()))
        whole = oracles.ridge(o)
        after, before = ((batch.inputs @ t[:4] + t[4] - batch.targets).square() for t in (theta, whole))
        np.testing.assert_allclose(truth["effect"].values[row, :, 0], after - before, rtol=1e-3, atol=1e-6)


def test_a_shelf_goes_on_where_it_was(tmp_path: Path) -> None:
    p, refit = problem("mlp"), Proximal(0.1)
    with RunFolder.open(tmp_path / "run", {}) as run:
        shelf = run.shelf("subsets")
        few = retrain_on_subsets(p.task, p.train, p.queries, refit, count=2, shelf=shelf)
        first = {key: {k: v.copy() for k, v in shelf.get(key).items()} for key in shelf.done()}
        many = retrain_on_subsets(p.task, p.train, p.queries, refit, count=4, shelf=shelf)
        assert len(shelf.done()) == 5
        for key, piece in first.items():
            assert np.array_equal(shelf.get(key)["theta"], piece["theta"])
    np.testing.assert_array_equal(many["effect"][:2], few["effect"])


def test_from_scratch_with_several_seeds() -> None:
    p = problem("mlp")

    def fresh(seed: int) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return networks.mlp().double()

    recipe = Adam(30, batch_size=12, learning_rate=0.05)
    refit, shelf = FromScratch(recipe, fresh), MemoryShelf({})
    truth = retrain_on_subsets(p.task, p.train, p.queries, refit, count=3, seeds=(0, 1), shelf=shelf)
    assert truth["effect"].shape == (3, 5, 2)
    assert len(shelf.done()) == 2 + 6
    direct = leave_out(p.task, p.train, p.queries, random_subsets(p.train.ids, 3), refit, seeds=(0, 1))
    np.testing.assert_allclose(truth["effect"], direct["effect"], rtol=1e-6, atol=1e-9)


def test_influence_ranks_subsets_of_a_convex_problem() -> None:
    from whence.evaluation import linear_datamodeling

    p = problem("logistic-3", count=60)
    truth = retrain_on_subsets(p.task, p.train, p.queries, Proximal(0.01), count=30, keep=0.8)
    scores = wh.InfluenceFunction(wh.Dense(), damping=0.01).fit(p.task, p.train).attribute(p.queries)
    chance = wh.Random().fit(p.task, p.train).attribute(p.queries)
    good, bad = (linear_datamodeling(one, truth).iloc[0] for one in (scores, chance))
    assert good["lds"] > 0.9
    assert abs(bad["lds"]) < 0.5
    assert good["chosen"] == truth.attrs["chosen"]

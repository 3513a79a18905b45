"""Law: what was verified carries the effect of the refit, and everything else of a score is as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import networks
import oracles
import whence as wh
from problems import Problem, features, problem, untrained
from whence import results
from whence.curvature.operator import Matrix
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.jobs import MemoryShelf
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit, Kind, Trained


@final
@dataclass(frozen=True)
class Counting(AbstractRefit):
    """A proximal refit that counts what is asked of it."""

    inner: Proximal = field(default_factory=lambda: Proximal(0.1))
    calls: list[str] = field(default_factory=list)
    sound: bool = True

    @property
    def kind(self) -> Kind:
        return "proximal"

    @property
    def damping(self) -> float | None:
        return self.inner.strength

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Mapping[str, Tensor]:
        self.calls.append("prepare")
        return self.inner.prepare(objective, mapper)

    def control(self, objective: Objective, shared: Mapping[str, Tensor], seed: int) -> Trained:
        return self.inner.control(objective, shared, seed)

    def refit(self, objective: Objective, shared: Mapping[str, Tensor], removed: Tensor, seed: int) -> Trained:
        self.calls.append("refit")
        return replace(self.inner.refit(objective, shared, removed, seed), converged=self.sound)


def refitted_by_scipy(p: Problem, removed: int, strength: float) -> Tensor:
    """The minimum of F₋ᵢ(θ) − ∇F(θ̂)·(θ − θ̂) + ½ λ ‖θ − θ̂‖²."""
    o = p.objective
    pull = oracles.gradient(lambda t: oracles.total(o, t), o.theta)

    def value(theta: Tensor) -> Tensor:
        step = theta - o.theta
        without = oracles.total(o, theta, oracles.without(o.count, removed))
        return without - pull @ step + 0.5 * strength * step.square().sum()

    return oracles.minimum(value, o.theta)[0]


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_every_method_can_be_verified(method: cases.Method, tmp_path: Path) -> None:
    p = problem("mlp")
    explainer = method.fit(p)
    plain, scores = explainer.attribute(p.queries), explainer.attribute(p.queries, verify=2)
    np.testing.assert_allclose(scores, plain, rtol=1e-8, atol=1e-12)
    assert results.check(scores) is scores
    # the k most influential: by size where scores say help and harm, else the largest
    size = np.abs(scores.values) if method.attributor.sign == results.SIGN else scores.values
    for row, marked in zip(size, scores["verified"].values, strict=True):
        assert marked.sum() == 2
        assert row[marked].min() >= row[~marked].max()
    # one refit serves every query, and nothing else is refitted
    column = scores["verified"].values.any(0)
    assert (np.isfinite(scores["actual"].values) == column).all()
    assert scores.attrs["verification"]["refits"] == column.sum()
    damping = getattr(method.attributor, "damping", None)
    refit = Proximal() if damping is None else Proximal(damping)
    truth = leave_out(p.task, p.train, p.queries, scores["train"].values[column], refit)
    expected = truth["effect"].mean("seed").transpose("query", "removed")
    np.testing.assert_allclose(scores["actual"].values[:, column], expected, rtol=1e-6, atol=1e-9)
    assert scores.attrs["verification"]["comparison"].startswith("both are" if method.loss_units else "by rank only")
    assert ("difference" in scores.whence.verified()) == method.loss_units
    # it is a result like any other
    wh.save(scores, tmp_path / "kept")
    again = wh.load(tmp_path / "kept")
    assert again.identical(scores)
    assert again.whence.verified().equals(scores.whence.verified())


@pytest.mark.parametrize("measure", ["loss", "margin"])
def test_the_effect_is_that_of_the_minimum_that_scipy_finds(measure: str) -> None:
    p = problem("mlp", measure=measure)
    scores = wh.InfluenceFunction(wh.Dense(), damping=0.1).fit(p.task, p.train).attribute(p.queries, verify=1)
    kept = scores.isel(train=np.flatnonzero(scores["verified"].values.any(0)))
    assert kept.sizes["train"] >= 2
    for column, identity in enumerate(kept["train"].values.tolist()):
        theta = refitted_by_scipy(p, int(identity), 0.1)
        for row in range(len(p.queries)):
            moved, before = (oracles.value(p.task, t, p.queries, row, "measure") for t in (theta, p.objective.theta))
            assert float(kept["actual"][row, column]) == pytest.approx(float(moved - before), rel=1e-4, abs=1e-8)


def test_predictions_of_damped_influence_come_true() -> None:
    p = problem("mlp", count=60)
    explainer = wh.ApproximateLeaveOneOut(wh.Dense(), damping=0.1).fit(p.task, p.train)
    table = explainer.attribute(p.queries, verify=5).whence.verified()
    assert table["converged"].all()
    assert np.corrcoef(table["score"], table["actual"])[0, 1] > 0.99
    np.testing.assert_allclose(table["difference"], table["actual"] - table["score"])


def test_the_table_lists_both_numbers_strongest_first() -> None:
    p = problem("logistic-3")
    scores = wh.InfluenceFunction(wh.Dense(), damping=0.1).fit(p.task, p.train).attribute(p.queries, verify=3)
    table = scores.whence.verified()
    assert len(table) == 3 * len(p.queries)
    for identity, rows in table.groupby("query", sort=False):
        one = scores.sel(query=identity)
        order = np.argsort(-abs(one.values), kind="stable")[:3]
        assert rows["train"].tolist() == one["train"].values[order].tolist()
        assert rows["rank"].tolist() == [1, 2, 3]
        assert rows["actual"].tolist() == one["actual"].values[order].tolist()
        by_size = np.argsort(-abs(rows["actual"].to_numpy()))
        assert rows["actual_rank"].to_numpy()[by_size].tolist() == [1, 2, 3]
        assert rows["train_label"].tolist() == one["train_label"].values[order].tolist()


def test_one_refit_serves_every_query_and_the_factor_is_made_once() -> None:
    p, refit = problem("mlp"), Counting()
    explainer = wh.GradientDot().fit(p.task, p.train)
    scores = explainer.attribute(p.queries, verify=3, refit=refit)
    assert refit.calls.count("prepare") == 1
    assert refit.calls.count("refit") == scores["verified"].values.any(0).sum() < 3 * len(p.queries)
    assert scores.attrs["verification"]["truth"]["damping"] == 0.1


def test_a_shelf_spares_refits_that_are_done() -> None:
    p, shelf = problem("mlp"), MemoryShelf({})
    explainer = wh.InfluenceFunction(wh.Dense(), damping=0.1).fit(p.task, p.train)
    plain = explainer.attribute(p.queries)
    first, second = Counting(), Counting()
    few = explainer.verify(plain, p.queries, 1, first, shelf)
    more = explainer.verify(plain, p.queries, 2, second, shelf)
    done = first.calls.count("refit")
    assert done == few.attrs["verification"]["refits"]
    assert second.calls.count("refit") == more.attrs["verification"]["refits"] - done


def test_verified_scores_give_a_truth_that_agreement_takes() -> None:
    p = problem("mlp")
    scores = wh.InfluenceFunction(wh.Dense(), damping=0.1).fit(p.task, p.train).attribute(p.queries, verify=6)
    truth = scores.whence.refits()
    assert results.check_truth(truth) is truth
    assert truth.attrs["kind"] == "proximal"
    table = wh.agreement(scores, truth)
    assert table["sample"].unique().tolist() == ["most influential"]
    assert table["n"].tolist() == [6] * len(p.queries)
    one = scores.isel(query=0)
    marked = one["verified"].values
    expected = np.corrcoef(one.values[marked], one["actual"].values[marked])[0, 1]
    assert table["pearson"][0] == pytest.approx(expected)
    direct = leave_out(p.task, p.train, p.queries, truth["removed"].values, Proximal(0.1))
    np.testing.assert_allclose(truth["effect"], direct["effect"], rtol=1e-6, atol=1e-10)
    assert truth["member"].equals(direct["member"])


def test_a_part_of_the_scores_keeps_what_was_verified_of_it() -> None:
    p = problem("mlp")
    explainer = wh.InfluenceFunction(wh.Dense(), damping=0.1).fit(p.task, p.train)
    whole = explainer.attribute(p.queries, verify=5)
    part = explainer.attribute(p.queries, k=1, verify=5)
    marked = whole["train"].values[whole["verified"].values.any(0)]
    assert set(marked.tolist()) <= set(part["train"].values.tolist())
    assert part.whence.verified().equals(whole.whence.verified())
    assert (
        whole.isel(query=[1]).whence.verified()["train"].tolist()
        == np.compress(whole.whence.verified()["query"] == "q1", whole.whence.verified()["train"]).tolist()
    )


def test_the_refit_is_what_the_scores_predict() -> None:
    p = problem("mlp")
    method = wh.InfluenceFunction(wh.Eigen(), damping=0.0, curvature="gauss-newton")
    scores = method.fit(p.task, p.train).attribute(p.queries, verify=1)
    assert scores.attrs["verification"]["truth"]["kind"] == "converged"
    elsewhere = untrained(networks.mlp(), features(24, 4), torch.arange(24) % 3)
    with pytest.raises(ValueError, match="not at a minimum"):
        method.fit(elsewhere.task, elsewhere.train).attribute(elsewhere.queries, verify=1)
    matrix = Matrix(oracles.objective_hessian(p.objective))
    by_matrix = wh.InfluenceFunction(wh.Dense(), 0.1, matrix).fit(p.task, p.train).attribute(p.queries, verify=1)
    by_name = wh.InfluenceFunction(wh.Dense(), 0.1).fit(p.task, p.train).attribute(p.queries, verify=1)
    np.testing.assert_allclose(by_matrix["actual"], by_name["actual"], rtol=1e-4, atol=1e-9)


def test_refits_that_do_not_converge_are_said() -> None:
    p = problem("mlp")
    explainer = wh.GradientDot().fit(p.task, p.train)
    with pytest.warns(RuntimeWarning, match=r"of \d+ refits did not converge"):
        scores = explainer.attribute(p.queries, verify=1, refit=Counting(sound=False))
    about = scores.attrs["verification"]
    assert about["unconverged"] == about["refits"]
    assert not scores.whence.verified()["converged"].any()
    assert wh.agreement(scores, scores.whence.refits(), rank_only=True)["unconverged"].tolist() == [1] * 5


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"verify": 0}, ValueError, "verify must be at least 1"),
        ({"refit": Proximal()}, ValueError, "verify does not say how many"),
        ({"verify": 1, "refit": "proximal"}, TypeError, r"refit must be Proximal\(...\)"),
    ],
)
def test_impossible_wishes_are_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    p = problem("mlp")
    with pytest.raises(error, match=words):
        wh.Loss().fit(p.task, p.train).attribute(p.queries, **options)


@pytest.mark.parametrize("verb", ["verified", "refits"])
def test_scores_that_were_not_verified_say_how(verb: str) -> None:
    p = problem("mlp")
    scores = wh.Loss().fit(p.task, p.train).attribute(p.queries)
    with pytest.raises(results.ResultError, match="verify=10"):
        getattr(scores.whence, verb)()


def test_queries_are_found_by_their_ids() -> None:
    p = problem("mlp")
    explainer = wh.GradientDot().fit(p.task, p.train)
    scores = explainer.attribute(p.queries)
    turned: Sequence[int] = [4, 2, 0, 1, 3]
    found = explainer.verify(scores, p.queries[turned], 1)
    np.testing.assert_allclose(found["actual"], explainer.verify(scores, p.queries, 1)["actual"])
    with pytest.raises(KeyError, match="no example has the id"):
        explainer.verify(scores, p.queries[:3], 1)
    assert torch.is_grad_enabled()


def test_models_too_large_for_the_shared_factor_are_told_what_else_there_is() -> None:
    wide = untrained(networks.mlp(4, 2600), features(6, 4), torch.arange(6) % 3)
    with pytest.raises(ValueError, match="refit=Continued"):
        wh.Similarity("output").fit(wide.task, wide.train).attribute(wide.queries, verify=1)

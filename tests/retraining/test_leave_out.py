"""Leave-out truth: sign, unit, groups, controls, and what a shelf saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import whence as wh
from problems import Problem, problem
from whence import results
from whence.execution.store import RunFolder
from whence.mapping import AbstractMapper
from whence.retraining.leave_out import MemoryShelf, leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit

PROXIMAL = Proximal(0.1)


@dataclass(frozen=True)
class Counted(AbstractRefit):
    """A refit that remembers its calls."""

    inner: AbstractRefit = PROXIMAL
    calls: list[Any] = field(default_factory=list)

    @property
    def kind(self) -> Any:
        return self.inner.kind

    def prepare(self, *args: Any) -> Any:
        self.calls.append("prepare")
        return self.inner.prepare(*args)

    def control(self, objective: Any, shared: Any, seed: int) -> Any:
        self.calls.append(("control", seed))
        return self.inner.control(objective, shared, seed)

    def refit(self, objective: Any, shared: Any, removed: Tensor, seed: int) -> Any:
        self.calls.append((tuple(removed.tolist()), seed))
        return self.inner.refit(objective, shared, removed, seed)


def truth(p: Problem, remove: Any, refit: AbstractRefit = PROXIMAL, **options: Any) -> Any:
    return leave_out(p.task, p.train, p.queries, remove, refit, **options)


@pytest.mark.parametrize("measure", ["loss", "margin"])
def test_the_effect_is_the_change_in_the_measurement(measure: str) -> None:
    p = problem("mlp", measure=measure)
    found = truth(p, [5, 2])
    assert results.check_truth(found) is found
    o, batch = p.objective, p.queries.take(slice(None))
    for row, i in enumerate((5, 2)):
        theta = PROXIMAL.refit(o, PROXIMAL.prepare(o, wh.SerialMapper()), torch.tensor([i]), 0).theta
        before, after = (p.task.measure(p.task.predict(t, batch), batch) for t in (o.theta, theta))
        np.testing.assert_allclose(found["effect"].values[row, :, 0], after - before, rtol=1e-8, atol=1e-12)
        assert found["distance"].values[row, 0] == pytest.approx(float((theta - o.theta).norm()))
    assert found["member"].values.sum(1).tolist() == [1, 1]
    assert found["member"].sel(removed=5, train=5).item()
    assert found["removed"].values.tolist() == [5, 2]
    assert bool(found["converged"].all())
    assert found.attrs["kind"] == "proximal"
    assert found.attrs["damping"] == 0.1
    assert found.attrs["quantity"] == f"change in {measure}"
    assert found.attrs["unit"] == ("nats" if measure == "loss" else "measurement units")


def test_leaving_an_example_out_raises_its_own_loss() -> None:
    p = problem("mlp")
    found = leave_out(p.task, p.train, p.train[[3, 8]], [3, 8], PROXIMAL)["effect"].values[:, :, 0]
    assert found[0, 0] > 0
    assert found[1, 1] > 0


def test_scores_and_truth_lie_on_one_another() -> None:
    """The same name, sign and unit; the leverage correction is nearly the truth."""
    p = problem("mlp", count=60)
    found = truth(p, p.train.ids[:8])
    scores = wh.ApproximateLeaveOneOut(wh.Dense(), damping=0.1).fit(p.task, p.train).attribute(p.queries)
    assert results.same_quantity(found.attrs, scores.attrs)
    effect = found["effect"].values[:, :, 0]
    predicted = scores.sel(train=found["removed"].values).values.T
    assert np.linalg.norm(predicted - effect) < 0.1 * np.linalg.norm(effect)


def test_groups_are_left_out_together() -> None:
    p = problem("mlp")
    found = truth(p, {"first": [0, 1, 2], "one": [7]})
    assert found["removed"].values.tolist() == ["first", "one"]
    assert found["member"].values.sum(1).tolist() == [3, 1]
    o = p.objective
    theta = PROXIMAL.refit(o, PROXIMAL.prepare(o, wh.SerialMapper()), torch.tensor([0, 1, 2]), 0).theta
    batch = p.queries.take(slice(None))
    before, after = (p.task.loss(p.task.predict(t, batch), batch) for t in (o.theta, theta))
    np.testing.assert_allclose(found["effect"].values[0, :, 0], after - before, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found["effect"].values[1], truth(p, [7])["effect"].values[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("remove", "error", "message"),
    [
        ([99], KeyError, "no example has the id"),
        ({"a": [0, 99]}, KeyError, "no example has the id"),
        ([3, 3], ValueError, "left out twice"),
        ([], ValueError, "nothing to leave out"),
        ({"a": []}, ValueError, "nothing to leave out"),
        ({"a": list(range(24))}, ValueError, "takes all training examples away"),
        ({"1": [0], 1: [2]}, ValueError, "two groups have the same name"),
    ],
)
def test_impossible_removals(remove: Any, error: type[Exception], message: str) -> None:
    counted = Counted()
    with pytest.raises(error, match=message):
        truth(problem("mlp"), remove, counted)
    assert counted.calls == []


def test_a_shelf_saves_refits() -> None:
    p, shelf = problem("mlp"), MemoryShelf({})
    first = truth(p, [4, 1], shelf=shelf)
    counted = Counted()
    more = truth(p, [1, 9, 4], counted, shelf=shelf)
    assert counted.calls == ["prepare", ((9,), 0)]
    np.testing.assert_array_equal(more["effect"].sel(removed=[4, 1]), first["effect"])
    other = Counted()
    asked = leave_out(p.task, p.train, p.train[[0, 1, 2]], [9, 1], other, shelf=shelf)
    assert other.calls == []
    assert asked.sizes["query"] == 3
    np.testing.assert_allclose(asked["effect"], leave_out(p.task, p.train, p.train[:3], [9, 1], PROXIMAL)["effect"])


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    p = problem("mlp")

    @dataclass(frozen=True)
    class Killed(Counted):
        def refit(self, objective: Any, shared: Any, removed: Tensor, seed: int) -> Any:
            if len(self.calls) == 4:
                raise KeyboardInterrupt
            return super().refit(objective, shared, removed, seed)

    with RunFolder.open(tmp_path / "run", {"refit": "proximal"}) as folder, pytest.raises(KeyboardInterrupt):
        truth(p, [3, 4, 5, 6], Killed(), shelf=folder.shelf("refits"))
    counted = Counted()
    with RunFolder.open(tmp_path / "run", {"refit": "proximal"}) as folder:
        found = truth(p, [3, 4, 5, 6], counted, shelf=folder.shelf("refits"))
    assert counted.calls == ["prepare", ((5,), 0), ((6,), 0)]
    np.testing.assert_allclose(found["effect"], truth(p, [3, 4, 5, 6])["effect"], rtol=1e-12)


def test_a_group_of_the_same_name_and_other_members_is_another_refit() -> None:
    p, shelf = problem("mlp"), MemoryShelf({})
    truth(p, {"noisy": [1, 2]}, shelf=shelf)
    found = truth(p, {"noisy": [3, 4]}, shelf=shelf)
    np.testing.assert_allclose(found["effect"], truth(p, {"noisy": [3, 4]})["effect"], rtol=1e-12)


@pytest.mark.parametrize("mapper", [wh.SerialMapper(3), wh.JoblibMapper(2)])
def test_where_refits_run_changes_nothing(mapper: AbstractMapper) -> None:
    p = problem("mlp")
    found, expected = truth(p, [3, 4, 5], mapper=mapper), truth(p, [3, 4, 5])
    assert found["removed"].values.tolist() == [3, 4, 5]
    np.testing.assert_allclose(found["effect"], expected["effect"], rtol=1e-6, atol=1e-9)


def test_work_is_in_float64_whatever_the_model_is() -> None:
    rough, exact = (truth(problem("mlp", dtype=dtype), [3]) for dtype in (torch.float32, torch.float64))
    assert rough.attrs["precision"] == "float64"
    np.testing.assert_allclose(rough["effect"], exact["effect"], rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_are_given_once_each(seeds: Any) -> None:
    with pytest.raises(ValueError, match="give at least one, and each once"):
        truth(problem("mlp"), [3], seeds=seeds)

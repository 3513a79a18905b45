"""Many models at once: each equals the model that is trained alone, on whatever device the objective's θ lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import networks
import whence as wh
from problems import problem
from whence.gradients import functional
from whence.objective import Objective
from whence.retraining import resident as residence
from whence.retraining.adam import Adam
from whence.retraining.by_recipe import weights_without_each
from whence.retraining.continued import Continued
from whence.retraining.from_scratch import FromScratch
from whence.retraining.jobs import Job, MemoryShelf, chunked
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton
from whence.retraining.refit import AbstractRefit, Trained
from whence.retraining.resident import resident
from whence.retraining.stacked import Stack

RECIPE = Adam(steps=30, batch_size=7, learning_rate=0.03, drops=((20, 0.1),))
REMOVED = [torch.tensor([4]), torch.tensor([0, 9, 17]), torch.tensor([], dtype=torch.int64)]
MODELS = ["conv", "ridge", "dict"]  # convolutions with tanh, a linear model, inputs by name


def close(found: Trained, alone: Trained) -> None:
    torch.testing.assert_close(found.theta, alone.theta, rtol=1e-10, atol=1e-12)
    for name in ("first", "second", "step"):
        torch.testing.assert_close(found.state[name], alone.state[name], rtol=1e-9, atol=1e-13)
    assert found.gradient_norm == pytest.approx(alone.gradient_norm, rel=1e-8)
    assert (found.evaluations, found.converged) == (alone.evaluations, alone.converged)


@pytest.mark.parametrize("going_on", [False, True])
@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("name", MODELS)
def test_models_that_are_trained_together_equal_models_trained_alone(name: str, objective: str, going_on: bool) -> None:
    o = problem(name, objective).objective
    before = RECIPE.train(o, seed=3) if going_on else None
    start, state = (o.at(before.theta), before.state) if before else (o, None)
    weights = weights_without_each(o, REMOVED)
    together = RECIPE.train_many(start, weights, 5, state)
    for found, row in zip(together, weights, strict=True):
        close(found, RECIPE.train(start, row, 5, state))
    assert not torch.allclose(together[0].theta, together[2].theta, rtol=1e-4)


@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_a_batch_without_weight_leaves_the_penalty_alone(objective: str) -> None:
    o = problem("conv", objective).objective
    weights = torch.ones(2, o.count, dtype=torch.float64)
    weights[1, [2, 5, 8]] = 0.0
    found = Stack(o, weights).gradient(o.theta.repeat(2, 1), np.array([2, 5, 8]))
    torch.testing.assert_close(found[1], o.decay * o.theta, rtol=0, atol=0)
    assert float((found[0] - found[1]).norm()) > 1e-3
    recipe = replace(RECIPE, batch_size=1)
    for model, row in zip(recipe.train_many(o, weights), weights, strict=True):
        close(model, recipe.train(o, row))


def test_one_model_is_trained_as_it_always_was() -> None:
    o = problem("conv").objective
    weights = weights_without_each(o, REMOVED[:1])
    assert torch.equal(RECIPE.train_many(o, weights)[0].theta, RECIPE.train(o, weights[0]).theta)


def refits(**options: Any) -> list[AbstractRefit]:
    o = problem("mlp").objective

    def initialise(seed: int) -> torch.nn.Module:
        torch.manual_seed(seed)
        return networks.mlp()

    return [Continued(RECIPE, RECIPE.train(o).state, **options), FromScratch(RECIPE, initialise, **options)]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("together", [2, 3, 50])
def test_the_truth_does_not_depend_on_how_many_refits_run_together(which: int, together: int) -> None:
    p = problem("mlp")
    remove = {"a": [3], "b": [5, 6], "c": [7], "d": [11], "e": [0]}
    found, expected = (
        leave_out(p.task, p.train, p.queries, remove, refits(together=count)[which], seeds=(0, 4))
        for count in (together, 1)
    )
    np.testing.assert_allclose(found["effect"], expected["effect"], rtol=1e-8, atol=1e-12)
    for name in ("gradient_norm", "distance", "evaluations", "converged"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-8)
    assert found.attrs == expected.attrs


def test_a_recipe_that_cannot_stack_trains_one_after_the_other() -> None:
    p = problem("ridge")
    refit = Continued(Newton(tolerance=1e-10), together=3)
    found = leave_out(p.task, p.train, p.queries, [3, 4, 5, 6], refit)
    expected = leave_out(p.task, p.train, p.queries, [3, 4, 5, 6], replace(refit, together=1))
    np.testing.assert_array_equal(found["effect"], expected["effect"])


@pytest.mark.parametrize("which", [0, 1])
def test_float32_is_said_and_measured_in_float64(which: int) -> None:
    p = problem("mlp")
    rough, exact = (
        leave_out(p.task, p.train, p.queries, [3, 8], refits(together=2, precision=precision)[which])
        for precision in ("float32", "float64")
    )
    assert (rough.attrs["precision"], exact.attrs["precision"]) == ("float32", "float64")
    assert rough["effect"].dtype == np.float64
    assert not np.array_equal(rough["effect"], exact["effect"])
    np.testing.assert_allclose(rough["effect"], exact["effect"], atol=1e-3 * float(abs(exact["effect"]).max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"together": 0}, "together must be at least 1, not 0"), ({"precision": "half"}, "'float64' or 'float32'")],
)
def test_what_cannot_be_chosen(options: Any, message: str) -> None:
    for make in (
        lambda: Continued(RECIPE, **options),
        lambda: FromScratch(RECIPE, lambda s: networks.mlp(), **options),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@dataclass(frozen=True)
class Counted(AbstractRefit):
    """Remembers the chunks it was given, and is killed at the one after ``until``."""

    together: int = 3
    until: int = 100
    chunks: list[list[list[int]]] = field(default_factory=list)

    @property
    def kind(self) -> Any:
        return "continued"

    def prepare(self, *args: Any) -> Any:
        return {}

    def control(self, objective: Objective, shared: Any, seed: int) -> Trained:
        return Trained(objective.theta, 0.0, 0.0, True)

    def refit(self, objective: Objective, shared: Any, removed: Tensor, seed: int) -> Trained:
        return Trained(objective.theta + float(removed.sum()) + 100 * seed, 0.0, 0.0, True)

    def refit_many(self, objective: Objective, shared: Any, removed: Any, seed: int) -> list[Trained]:
        if len(self.chunks) == self.until:
            raise KeyboardInterrupt
        self.chunks.append([one.tolist() for one in removed])
        return super().refit_many(objective, shared, removed, seed)


def test_a_killed_run_goes_on_with_what_is_left_in_new_chunks() -> None:
    p, shelf = problem("ridge"), MemoryShelf({})
    ask: Callable[[Any], Any] = lambda refit: leave_out(  # noqa: E731
        p.task, p.train, p.queries, list(range(7)), refit, seeds=(0, 1), shelf=shelf
    )
    killed = Counted(until=2)
    with pytest.raises(KeyboardInterrupt):
        ask(killed)
    assert killed.chunks == [[[0], [1]], [[2], [3]]]
    again = Counted()
    found = ask(again)
    assert again.chunks == [[[4], [5], [6]], [[0], [1]], [[2], [3]], [[4], [5], [6]]]
    expected = leave_out(p.task, p.train, p.queries, list(range(7)), Counted(together=1), seeds=(0, 1))
    np.testing.assert_array_equal(found["effect"], expected["effect"])


@pytest.mark.parametrize(("count", "together"), [(1, 1), (5, 1), (7, 3), (9, 3), (10, 4), (3, 50)])
def test_chunks_are_of_one_seed_and_of_nearly_one_length(count: int, together: int) -> None:
    controls = [Job(f"c{seed}", None, seed) for seed in (0, 1)]
    jobs = controls + [Job(f"{i}|{seed}", np.array([i]), seed) for seed in (0, 1) for i in range(count)]
    chunks = chunked(jobs, together)
    assert [job for chunk in chunks for job in chunk] == jobs
    assert all(len({job.seed for job in chunk}) == 1 for chunk in chunks)
    assert chunks[:2] == [[controls[0]], [controls[1]]]
    lengths = [len(chunk) for chunk in chunks[2:]]
    assert max(lengths) <= together
    assert max(lengths) - min(lengths) <= 1
    assert len(lengths) == 2 * -(-count // together)
    assert chunked([], together) == []


def test_a_model_that_cannot_be_stacked_is_said() -> None:
    def loss(output: Tensor, batch: Any) -> Tensor:
        return output[:, 0] if float(output.detach().sum()) > 0 else -output[:, 0]  # branches on values

    p = problem("ridge")
    task = wh.CustomTask(p.task.module, loss, weight_decay=0.1)
    with pytest.raises(RuntimeError, match=r"3 models cannot be trained at once .* together=1"):
        leave_out(task, p.train, p.queries, [1, 2, 3], Continued(RECIPE, together=3))
    assert leave_out(task, p.train, p.queries, [1, 2, 3], Continued(RECIPE)).sizes["removed"] == 3


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("objective", ["mean", "sum"])
def test_a_step_stays_on_the_device_and_does_not_wait_for_it(name: str, objective: str) -> None:
    """The meta device refuses tensors of another one, and numbers that would have to be read back."""
    o = problem(name, objective).objective
    task = o.task.frozen()
    task.module.to("meta")
    there = resident(replace(o, task=task, theta=o.theta.to("meta")))
    assert there.train.take(slice(0, 2)).targets.device.type == "meta"
    weights = weights_without_each(there, [torch.tensor([1]), torch.tensor([2, 3])])
    assert weights.device.type == "meta"
    found = Stack(there, weights).gradient(there.theta.repeat(2, 1), np.array([0, 1, 5]))
    assert found.device.type == "meta"
    assert found.shape == (2, len(o.theta))


def test_resident_data_is_the_same_data(monkeypatch: pytest.MonkeyPatch) -> None:
    o = problem("dict", dtype=torch.float32).objective
    part = o.over(o.train[[5, 2, 9]])
    there = resident(part)
    assert there.train.ids.tolist() == [5, 2, 9]
    batch = there.train.take(slice(None))
    assert batch.inputs["left"].dtype == torch.float32
    for of in ("loss", "measure"):
        values = [functional.evaluate(o.task, o.theta, x.train, of) for x in (part, there)]
        assert torch.equal(*values)
    monkeypatch.setattr(residence, "LARGEST", 10)
    assert resident(part) is part
    fetched = o.over(wh.as_examples([(torch.zeros(4), 1)] * 3))
    assert resident(fetched) is fetched

"""A group left out together: exact against closed forms, not the sum of its members, and told while it is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import whence as wh
from problems import problem
from whence.examples import Examples, as_examples
from whence.models import linear_model
from whence.parameters import load_vector
from whence.results import check_truth
from whence.retraining.converged import Converged
from whence.retraining.group import STEPS, leave_group_out
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit

COUNT, WIDTH, DECAY = 500, 4, 0.3


def silent(done: int, of: int, words: str) -> None:
    """Hears nothing."""


class Ridge:
    """Squared error and a penalty on the weights: F(θ) = mean (xθ − y)² + ½ Σ λ θ², in numpy."""

    def __init__(self, objective: str = "mean") -> None:
        generator = np.random.default_rng(0)
        self.x, self.asked = generator.normal(size=(COUNT, WIDTH)), generator.normal(size=(5, WIDTH))
        self.y = self.x @ np.arange(1.0, WIDTH + 1) + generator.normal(size=COUNT)
        self.answers = generator.normal(size=5)
        self.mean = objective == "mean"
        self.theta = self.minimum(np.ones(COUNT, dtype=bool))
        module = linear_model(WIDTH, 1)
        self.task = wh.Regression(module, weight_decay=DECAY, objective=objective)
        load_vector(module, self.task.layout, torch.from_numpy(self.theta))
        self.train = as_examples((self.x, self.y), ids=np.arange(COUNT) + 1000)
        self.queries = as_examples((self.asked, self.answers))

    def minimum(self, kept: np.ndarray, damping: float = 0.0) -> np.ndarray:
        """θ without the others; with ``damping`` the proximal one: ∇F_kept(θ) − ∇F(θ̂) + damping (θ − θ̂) = 0."""
        hessian, right = self.parts(kept)
        if not damping:
            return np.linalg.solve(hessian, right)
        whole, gradient = self.parts(np.ones(COUNT, dtype=bool))
        linear = whole @ self.theta - gradient
        shift = damping * np.eye(WIDTH + 1)
        return np.linalg.solve(hessian + shift, right + linear + shift @ self.theta)

    def parts(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H and b of ∇F = Hθ − b; the last parameter is the bias, which has no penalty."""
        design = np.column_stack([self.x, np.ones(COUNT)])[kept]
        factor = 2 / len(design) if self.mean else 2.0
        penalty = np.diag([DECAY] * WIDTH + [0.0])
        return factor * design.T @ design + penalty, factor * design.T @ self.y[kept]

    def losses(self, theta: np.ndarray) -> np.ndarray:
        return (self.asked @ theta[:-1] + theta[-1] - self.answers) ** 2


@pytest.mark.parametrize("objective", ["mean", "sum"])
@pytest.mark.parametrize("removed", [1, 7, 450], ids=["one", "a few", "more than a correction of low rank takes"])
@pytest.mark.parametrize(
    "refit", [Converged(tolerance=1e-9), Proximal(0.5, tolerance=1e-9)], ids=["converged", "proximal"]
)
def test_the_refit_is_that_of_ridge_regression(objective: str, removed: int, refit: AbstractRefit) -> None:
    ridge = Ridge(objective)
    gone = np.random.default_rng(removed).choice(COUNT, removed, replace=False)
    found = leave_group_out(ridge.task, ridge.train, ridge.queries, {"gone": gone + 1000}, refit, silent)
    kept = np.ones(COUNT, dtype=bool)
    kept[gone] = False
    expected = ridge.losses(ridge.minimum(kept, refit.damping or 0.0)) - ridge.losses(ridge.theta)
    np.testing.assert_allclose(found["effect"].values[0, :, 0], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["before"], ridge.losses(ridge.theta), rtol=1e-12)
    assert bool(found["converged"].all())
    np.testing.assert_array_equal(found["member"].values[0], ~kept)
    assert found["removed"].values.tolist() == ["gone"]
    assert check_truth(found) is found


def test_one_after_the_other_comes_to_the_same() -> None:
    """Without a proximal term the minimum does not depend on the way to it."""
    ridge, refit = Ridge(), Converged(tolerance=1e-10)
    together = leave_group_out(ridge.task, ridge.train, ridge.queries, {"both": [1003, 1008]}, refit, silent)
    first = leave_out(ridge.task, ridge.train, ridge.queries, [1003], refit)["effect"].values[0, :, 0]
    kept = np.arange(COUNT) != 3
    load_vector(ridge.task.module, ridge.task.layout, torch.from_numpy(ridge.minimum(kept)))
    second = leave_out(ridge.task, ridge.train[kept], ridge.queries, [1008], refit)["effect"].values[0, :, 0]
    np.testing.assert_allclose(together["effect"].values[0, :, 0], first + second, rtol=1e-6, atol=1e-10)


def test_a_group_of_twins_has_more_than_the_sum_of_their_effects() -> None:
    """Each twin stands in for the other, so that one alone can be spared."""
    ridge = Ridge()
    x, y = np.vstack([ridge.x[:8], np.full((2, WIDTH), 9.0)]), np.append(ridge.y[:8], [60.0, 60.0])
    train = as_examples((x, y))
    design = np.column_stack([x, np.ones(10)])
    theta = np.linalg.solve(design.T @ design / 5 + np.diag([DECAY] * WIDTH + [0.0]), design.T @ y / 5)
    load_vector(ridge.task.module, ridge.task.layout, torch.from_numpy(theta))
    asked = as_examples((x[8:9], y[8:9]))
    both = leave_group_out(ridge.task, train, asked, {"twins": [8, 9]}, Converged(), silent)["effect"].item()
    each = leave_out(ridge.task, train, asked, [8, 9], Converged())["effect"].values.sum()
    assert both > 5 * each > 0


@pytest.mark.parametrize("measure", ["loss", "margin"])
def test_it_is_what_leave_out_gives(measure: str) -> None:
    p, refit = problem("mlp", measure=measure), Proximal(0.1)
    found = leave_group_out(p.task, p.train, p.queries, {"some": [4, 1, 4]}, refit, silent)
    plain = leave_out(p.task, p.train, p.queries, {"some": [1, 4]}, refit)
    np.testing.assert_array_equal(found["effect"], plain["effect"])
    assert {**plain.attrs, "seconds": found.attrs["seconds"]} == found.attrs
    batch = p.queries.take(slice(None))
    before = p.task.measure(p.task.predict(p.task.parameters(), batch), batch)
    np.testing.assert_allclose(found["before"], before.detach(), rtol=1e-12)


def test_steps_are_told_in_order() -> None:
    p, heard = problem("mlp"), []
    leave_group_out(p.task, p.train, p.queries, {"some": [1, 4]}, Proximal(0.1), lambda *said: heard.append(said))
    done = [step for step, _, _ in heard]
    assert done == sorted(done)
    assert {of for _, of, _ in heard} == {STEPS}
    assert heard[0] == (0, STEPS, "a factor of the model's curvature")
    assert heard[1] == (1, STEPS, "refitting without 2 examples")
    passes = [words for _, _, words in heard if "pass" in words]
    assert passes[:2] == [f"refitting without 2 examples: pass {number} over the data" for number in (1, 2)]
    assert heard[-1] == (2, STEPS, "measuring the queries")


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"a": [99]}, KeyError, "no example has the id"),
        ({"a": []}, ValueError, "nothing to leave out"),
        ({"a": list(range(24))}, ValueError, "takes all training examples away"),
        ({}, ValueError, "0 groups"),
        ({"a": [1], "b": [2]}, ValueError, "2 groups"),
    ],
)
def test_impossible_groups(group: dict[str, Any], error: type[Exception], message: str) -> None:
    p = problem("mlp")
    with pytest.raises(error, match=message):
        leave_group_out(p.task, p.train, p.queries, group, Proximal(0.1), silent)


def test_an_interrupt_comes_through() -> None:
    def stop(done: int, of: int, words: str) -> None:
        if "pass 2" in words:
            raise KeyboardInterrupt

    p = problem("mlp")
    with pytest.raises(KeyboardInterrupt):
        leave_group_out(p.task, p.train, p.queries, {"a": [1]}, Proximal(0.1), stop)


def test_data_without_ids_of_their_own() -> None:
    p = problem("mlp")
    batch = p.train.take(slice(None))
    pair = (batch.inputs, batch.targets)
    assert not isinstance(pair, Examples)
    found = leave_group_out(p.task, pair, p.queries, {"a": [1]}, Proximal(0.1), silent)
    assert found["train"].values.tolist() == list(range(len(p.train)))

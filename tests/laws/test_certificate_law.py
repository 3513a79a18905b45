"""Law: a solve that does not converge is a value in the result and a warning, wherever in the method it happens."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import whence as wh
from problems import Problem, problem
from whence.solvers.solver import AbstractSolver, Solution

SOLVING = cases.where(lambda method: method.solves)


@final
@dataclass(frozen=True)
class Failing(AbstractSolver):
    """A dense solver that claims not to have converged in one of its solves, counted from 0."""

    when: int
    calls: list[int]

    @property
    def name(self) -> str:
        return "failing"

    def prepare(self, operator: Any, mapper: Any = None) -> Any:
        return wh.Dense().prepare(operator, mapper)

    def solve(self, operator: Any, state: Any, v: Tensor) -> Solution:
        found = wh.Dense().solve(operator, state, v)
        failed = len(self.calls) == self.when
        self.calls.append(v.shape[1])
        if not failed:
            return found
        return replace(found, converged=np.zeros(v.shape[1], bool), residual=np.full(v.shape[1], 0.5))


def solves(method: cases.Method, p: Problem, work: Any) -> int:
    """How many solves a piece of work takes."""
    counting = Failing(-1, [])
    work(replace(method.attributor, solver=counting).fit(p.task, p.train))
    return len(counting.calls)


@pytest.mark.parametrize("verb", ["attribute", "self_influence"])
@pytest.mark.parametrize("method", [cases.INFLUENCE[0], cases.CORRECTED[0]])
def test_every_solve_is_heard(method: cases.Method, verb: str) -> None:
    p = problem("logistic-2", count=300)

    def work(explainer: Any) -> Any:
        return explainer.attribute(p.queries) if verb == "attribute" else explainer.self_influence()

    count = solves(method, p, work)
    assert count >= 1
    for when in range(count):
        explainer = replace(method.attributor, solver=Failing(when, [])).fit(p.task, p.train)
        with pytest.warns(RuntimeWarning, match=r"failing did not converge \(worst relative residual 0.5"):
            found = work(explainer)
        assert found.attrs["solver"]["converged"] is False
        assert found.attrs["solver"]["relative_residual"] == 0.5


@pytest.mark.parametrize("method", SOLVING)
def test_converged_solves_do_not_warn(method: cases.Method) -> None:
    p = problem("logistic-3")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        explainer = method.fit(p)
        explainer.attribute(p.queries)
        explainer.self_influence()


@pytest.mark.parametrize("kind", [wh.InfluenceFunction, wh.ApproximateLeaveOneOut])
def test_too_few_iterations(kind: Any) -> None:
    p = problem("mlp")
    solver = wh.ConjugateGradient(max_iterations=2, preconditioner="none")
    explainer = kind(solver, damping=0.01).fit(p.task, p.train)
    with pytest.warns(RuntimeWarning, match=r"did not converge .* after .* iterations"):
        scores = explainer.attribute(p.queries)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        own = explainer.self_influence()
    for report in (scores.attrs["solver"], own.attrs["solver"]):
        assert report["converged"] is False
        assert report["relative_residual"] > 1e-5
    assert (scores["query_converged"].values == (scores["query_residual"].values <= 1.5e-5)).all()
    assert not scores["query_converged"].all()
    assert bool(torch.isfinite(torch.from_numpy(scores.values)).all())

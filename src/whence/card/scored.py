"""Scores of one method, made in a process of its own and kept with what they cost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr

from whence import results
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.explainer import Explainer
from whence.card.plan import Plan
from whence.evaluation import neighbour_disagreement
from whence.examples import Examples
from whence.execution.isolated import isolated, timed
from whence.execution.store import RunFolder
from whence.models.reinitialised import reinitialised
from whence.solvers.dense import Dense
from whence.solvers.eigen import Eigen
from whence.solvers.solver import IndefiniteError
from whence.task import AbstractTask

MOST_NEIGHBOURS = 10_000
"""Training examples up to which each is compared with every other."""


@dataclass
class Made:
    """By method: ``scores``, those of models with parameters drawn anew, and why there are none."""

    scores: dict[str, xr.DataArray] = field(default_factory=dict)
    randomised: dict[str, list[xr.DataArray]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def score_all(
    run: RunFolder,
    methods: Mapping[str, AbstractAttributor],
    given: tuple[AbstractTask, Examples, Examples],
    plan: Plan,
    say: Callable[[str], None],
) -> Made:
    """Score the queries by each method, one process at a time; what the run holds is not done again."""
    made = Made()
    for name, method in methods.items():
        key = f"{name}-{digest(method)}"
        others = [f"{key}-drawn-{seed}" for seed in range(plan.models)]
        if not all(run.path(one).exists() for one in (key, *others)):
            say(f"{name}: scores")
            found = isolated(_score, method, *given, plan.models)
            if found.value is None:
                made.failed[name] = str(found.failure).rstrip(".")
                continue
            scores, drawn, cost = found.value
            cost |= {"start": found.start if math.isfinite(found.start) else None, "warned": list(found.warned)}
            run.save(key, scores.assign_attrs(cost=cost))
            for one, array in zip(others, drawn, strict=True):
                run.save(one, array)
        made.scores[name] = run.load(key)
        made.randomised[name] = [run.load(one) for one in others]
    return made


def suspect(
    run: RunFolder,
    name: str,
    method: AbstractAttributor,
    given: tuple[AbstractTask, Examples],
    say: Callable[[str], None],
) -> xr.DataArray | str:
    """How suspicious each training example is [train] by a method, or why it says nothing of that."""
    solver = getattr(method, "solver", None)
    if solver is not None and not isinstance(solver, Dense | Eigen):
        return "self-influence would take a solve for every training example"
    if method.sign != results.SIGN and len(given[1]) > MOST_NEIGHBOURS:
        return f"neighbours among more than {MOST_NEIGHBOURS:,} examples"
    shelf, key = run.shelf("suspicions"), f"{name} {digest(method)}"
    if key not in shelf.done():
        say(f"{name}: wrong labels")
        found = isolated(_suspect, method, *given)
        if found.value is None:
            return str(found.failure).rstrip(".")
        values, damping = found.value
        shelf.put(key, {"values": values} | ({} if damping is None else {"damping": np.array(damping)}))
    kept = shelf.get(key)
    attrs = {"damping": float(kept["damping"])} if "damping" in kept else {}
    coords = {"train": given[1].ids}
    return xr.DataArray(np.array(kept["values"]), dims=("train",), coords=coords, attrs=attrs)


def digest(method: AbstractAttributor) -> str:
    """Of a method's name and options: other options are another method."""
    words = json.dumps([method.name, method.options], sort_keys=True, default=str)
    return hashlib.sha256(words.encode()).hexdigest()[:8]


def _score(
    method: AbstractAttributor, task: AbstractTask, train: Examples, queries: Examples, models: int
) -> tuple[xr.DataArray, list[xr.DataArray], dict[str, Any]]:
    explainer, fit = timed(lambda: method.fit(task, train))
    scores, attribute = timed(lambda: explainer.attribute(queries))
    cost: dict[str, Any] = {"fit": asdict(fit), "attribute": asdict(attribute), "threads": torch.get_num_threads()}
    others = [reinitialised(task, seed) for seed in range(models)]
    drawn = [_fitted(method, other, train)[0].attribute(queries) for other in others]
    return scores, drawn, cost


def _fitted(method: AbstractAttributor, task: AbstractTask, train: Examples) -> tuple[Explainer, float | None]:
    """The method at another model than its damping was chosen for: where that does not do, at the automatic one."""
    try:
        return method.fit(task, train), None
    except IndefiniteError:
        found = dataclasses.replace(method, damping="auto").fit(task, train)  # type: ignore[type-var]
        return found, found.damping


def _suspect(method: AbstractAttributor, task: AbstractTask, train: Examples) -> tuple[Any, float | None]:
    """Numbers [train], and the damping where another than the method's own had to be taken."""
    explainer, damping = _fitted(method, task, train)
    if method.sign == results.SIGN:
        return np.asarray(explainer.self_influence().values), damping
    return np.asarray(neighbour_disagreement(explainer.attribute(train)).values), damping

"""The refits that a card judges by: single removals, random subsets, and growing removals, each kept one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from whence import verification
from whence.card.plan import Plan
from whence.evaluation.removal_curves import RemovalPlan, plan_removals
from whence.examples import Examples
from whence.execution.store import RunFolder
from whence.mapping import AbstractMapper
from whence.retraining.leave_out import leave_out
from whence.retraining.refit import AbstractRefit
from whence.retraining.subsets import retrain_on_subsets
from whence.task import AbstractTask

NAMED, RANDOM = "named by a method", "random"
SHARED = ("training loss", "random number")
"""Rankings that removal curves have already, as their baselines."""


@dataclass(frozen=True)
class Bench:
    """What refits need: the model with its data and queries, what "without" means, and where work is done and kept."""

    run: RunFolder
    task: AbstractTask
    train: Examples
    queries: Examples
    refit: AbstractRefit
    mapper: AbstractMapper
    say: Callable[[str], None]


def single(bench: Bench, scores: Mapping[str, xr.DataArray], plan: Plan) -> xr.Dataset:
    """Each query's most influential examples by every method together, and random ones, left out one at a time."""
    chosen = pooled(scores, plan)
    bench.say(f"{chosen.sizes['removed']} {bench.refit.kind} refits without one example, each serving all queries")
    truth = leave_out(
        bench.task,
        bench.train,
        bench.queries,
        chosen["removed"].values,
        bench.refit,
        mapper=bench.mapper,
        shelf=bench.run.shelf("refits"),
    )
    return truth.assign(chosen=chosen)


def pooled(scores: Mapping[str, xr.DataArray], plan: Plan) -> xr.DataArray:
    """The plan ``chosen`` [sample, query, removed]: symmetric in the methods, so that none is judged on its own choice.

    Random scores name nobody: their choice is the random sample.
    """
    arrays = [array for array in scores.values() if array.attrs["quantity"] != "random number"]
    first = next(iter(scores.values()))
    named = [verification.most_influential(array, plan.named) for array in arrays]
    drawn = np.zeros(first.shape, dtype=bool)
    count = min(plan.random, first.sizes["train"] - 1)
    drawn[:, np.random.default_rng(plan.seed).choice(first.sizes["train"], count, replace=False)] = True
    samples = {NAMED: np.any(named, axis=0)} if named else {}
    samples[RANDOM] = drawn
    chosen = np.stack([*samples.values()])
    kept = chosen.any((0, 1))
    coords = {"sample": [*samples], "query": first["query"].values, "removed": first["train"].values[kept]}
    return xr.DataArray(chosen[:, :, kept], dims=("sample", "query", "removed"), coords=coords)


def subsets(bench: Bench, plan: Plan) -> xr.Dataset:
    """The model refitted on random subsets."""
    bench.say(f"{plan.subsets} {bench.refit.kind} refits on random subsets")
    return retrain_on_subsets(
        bench.task,
        bench.train,
        bench.queries,
        bench.refit,
        count=plan.subsets,
        keep=plan.keep,
        seed=plan.seed,
        mapper=bench.mapper,
        shelf=bench.run.shelf("subsets"),
    )


def removals(bench: Bench, scores: Mapping[str, xr.DataArray], plan: Plan) -> tuple[RemovalPlan, xr.Dataset]:
    """More and more of what each method names, left out together, for some of the queries."""
    asked = bench.queries.ids[: plan.curve_queries]
    # at most a quarter of the training set, beyond which little is left of the model
    sizes = [size for size in plan.sizes if size <= max(1, len(bench.train) // 4)]
    own = {name: array.sel(query=asked) for name, array in scores.items() if array.attrs["quantity"] not in SHARED}
    own = own or {name: array.sel(query=asked) for name, array in scores.items()}
    removal = plan_removals(own, sizes, plan.draws, plan.seed)
    bench.say(f"{len(removal.groups)} {bench.refit.kind} refits without groups of up to {sizes[-1]}")
    truth = leave_out(
        bench.task,
        bench.train,
        bench.queries.select(asked),
        removal.groups,
        bench.refit,
        mapper=bench.mapper,
        shelf=bench.run.shelf("removals"),
    )
    return removal, truth

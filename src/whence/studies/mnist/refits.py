"""Refits of the MNIST network, of several kinds, each from the run folder if it is there; and their effects by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from whence.evaluation import choose_removals
from whence.execution import RunFolder
from whence.mapping import SerialMapper
from whence.models import all_cnn
from whence.retraining.continued import Continued
from whence.retraining.from_scratch import FromScratch
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit
from whence.studies.mnist import influence
from whence.studies.mnist import model as models
from whence.studies.mnist.model import MnistModel
from whence.studies.mnist.plan import CONTINUED_RATE, DAMPING
from whence.studies.study import Progress
from whence.task import AbstractTask

TOGETHER = 256
"""Refits that a GPU does at once."""


def chosen(run: RunFolder, model: MnistModel, most: int, random: int, progress: Progress) -> xr.DataArray:
    """The thesis' own selection for the subjects, by predicted influence, and random examples beside it."""
    scores = influence.scores(run, model, influence.CG, progress)
    return choose_removals(scores, most, random, model.settings.seed, sides=True)


def proximal(run: RunFolder, model: MnistModel, progress: Progress) -> tuple[xr.Dataset, xr.Dataset]:
    """Proximal truth of the subjects, by sample; and of all queries, over all removals. The refits are the same."""
    if not run.path("truth-all-queries").exists():
        plan = chosen(run, model, 2 * model.plan.sides, model.plan.random, progress)
        progress.say(f"{plan.sizes['removed']} proximal refits at damping {DAMPING:g}, each serving all queries")
        refit = proximal_refit(run, model, progress)
        whole = _refits(run, model, model.queries, plan["removed"].values, refit, "proximal")
        run.save("truth-proximal", whole.sel(query=plan["query"].values).assign(chosen=plan))
        run.save("truth-all-queries", whole)
    return run.load("truth-proximal"), run.load("truth-all-queries")


def proximal_refit(run: RunFolder, model: MnistModel, progress: Progress) -> Proximal:
    """What "without an example" means in the proximal truth."""
    return Proximal(DAMPING, tolerance=1e-3, curvature=models.dense_hessian(run, model, progress))


def continued(run: RunFolder, model: MnistModel, progress: Progress) -> xr.Dataset:
    """Continued truth of the subjects: further Adam steps, with their control, two seeds, in float32."""
    sides, random, steps, seeds = model.plan.continued
    name = f"truth-continued-{steps}-{sides}-{random}"
    if not run.path(name).exists():
        plan = chosen(run, model, 2 * sides, random, progress)
        progress.say(f"{plan.sizes['removed']} continued refits of {steps} Adam steps, {seeds} seeds")
        whole_recipe = model.plan.recipe
        one_cycle = whole_recipe.schedule == "one-cycle"
        rate = CONTINUED_RATE if one_cycle else whole_recipe.rate(whole_recipe.steps - 1)
        recipe = whole_recipe.for_steps(steps, rate)
        task = models.for_long_training(model.task, model.settings)
        together = TOGETHER if task is not model.task else 1
        refit = Continued(recipe, model.moments, together=together, precision="float32")
        removed, shelf = plan["removed"].values, f"continued-{steps}"
        whole = _refits(run, model, model.asked, removed, refit, shelf, range(seeds), task)
        run.save(name, whole.assign(chosen=plan))
    kept: xr.Dataset = run.load(name)
    return kept


def from_scratch(run: RunFolder, model: MnistModel, progress: Progress) -> xr.Dataset:
    """A few whole trainings without the first subject's most helpful examples, in float32."""
    count = model.plan.scratch
    name = f"truth-from-scratch-{count}"
    if not run.path(name).exists():
        scores = influence.scores(run, model, influence.CG, progress).isel(query=0)
        removed = scores["train"].values[np.argsort(-scores.values, kind="stable")[:count]]
        progress.say(f"{count + 1} trainings from scratch, one of them with nothing removed")
        refit = FromScratch(model.plan.recipe, all_cnn, precision="float32")
        run.save(name, _refits(run, model, model.asked, removed, refit, "from-scratch", [model.settings.seed]))
    kept: xr.Dataset = run.load(name)
    return kept


def _refits(
    run: RunFolder,
    model: MnistModel,
    queries: Any,
    removed: Any,
    refit: AbstractRefit,
    shelf: str,
    seeds: Sequence[int] = (0,),
    task: AbstractTask | None = None,
) -> xr.Dataset:
    return leave_out(
        task or model.task,
        model.train,
        queries,
        removed,
        refit,
        seeds=list(seeds),
        mapper=model.mapper if task is None or task is model.task else SerialMapper(),
        shelf=run.shelf(f"refits-{shelf}"),
    )


def actual_of(truth: xr.Dataset, like: xr.DataArray, query: int, ids: Any) -> xr.DataArray:
    """The mean effect of removing each of ``ids`` on one query, as an array over ``train`` with labels."""
    effect = truth["effect"].mean("seed").sel(query=query, removed=ids)
    labels = {name: ("train", like.sel(train=ids)[name].values) for name in ("train_label", "train_prediction")}
    attrs = {**truth.attrs, "quantity": f"actual {truth.attrs['quantity']}"}
    return xr.DataArray(effect.values, dims=("train",), coords={"train": ids, **labels}, attrs=attrs)

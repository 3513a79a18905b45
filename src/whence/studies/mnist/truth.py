"""Stage ``truth``: refits without the most influential examples and without random ones, of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.evaluation import agreement, choose_removals
from whence.evaluation.choosing import MOST, RANDOM
from whence.execution import RunFolder
from whence.models import all_cnn
from whence.plots import against, predicted_against_actual
from whence.plots.against import Versus
from whence.retraining.continued import Continued
from whence.retraining.from_scratch import FromScratch
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit
from whence.studies.mnist import influence
from whence.studies.mnist import model as models
from whence.studies.mnist.model import MnistModel
from whence.studies.mnist.plan import CONTINUED_RATE, DAMPING
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.thesis import PREDICTED, TABLE_5_1, beside
from whence.studies.section import Section
from whence.studies.study import Progress

JUDGED = (influence.CG, influence.CORRECTED)


def chosen(run: RunFolder, model: MnistModel, most: int, random: int, progress: Progress) -> xr.DataArray:
    """The thesis' own selection for the subjects, by predicted influence, and random examples beside it."""
    scores = influence.scores(run, model, influence.CG, progress)
    return choose_removals(scores, most, random, model.settings.seed, sides=True)


def proximal(run: RunFolder, model: MnistModel, progress: Progress) -> tuple[xr.Dataset, xr.Dataset]:
    """Proximal truth of the subjects, by sample; and of all queries, over all removals. The refits are the same."""
    if not run.path("truth-all-queries").exists():
        plan = chosen(run, model, 2 * model.plan.sides, model.plan.random, progress)
        progress.say(f"{plan.sizes['removed']} proximal refits at damping {DAMPING:g}, each serving all queries")
        curvature = models.dense_hessian(run, model, progress)
        refit = Proximal(DAMPING, tolerance=1e-3, curvature=curvature)
        whole = _refits(run, model, model.queries, plan["removed"].values, refit, "proximal")
        run.save("truth-proximal", whole.sel(query=plan["query"].values).assign(chosen=plan))
        run.save("truth-all-queries", whole)
    return run.load("truth-proximal"), run.load("truth-all-queries")


def continued(run: RunFolder, model: MnistModel, progress: Progress) -> xr.Dataset:
    """Continued truth of the subjects: further Adam steps, with their control, two seeds, in float32."""
    sides, random, steps, seeds = model.plan.continued
    name = f"truth-continued-{steps}-{sides}-{random}"
    if not run.path(name).exists():
        plan = chosen(run, model, 2 * sides, random, progress)
        progress.say(f"{plan.sizes['removed']} continued refits of {steps} Adam steps, {seeds} seeds")
        recipe = model.plan.recipe.for_steps(steps, CONTINUED_RATE)
        refit = Continued(recipe, model.moments, precision="float32")
        whole = _refits(run, model, model.asked, plan["removed"].values, refit, f"continued-{steps}", range(seeds))
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
) -> xr.Dataset:
    return leave_out(
        model.task,
        model.train,
        queries,
        removed,
        refit,
        seeds=list(seeds),
        mapper=model.mapper,
        shelf=run.shelf(f"refits-{shelf}"),
    )


def work(context: Context) -> Outcome:
    """Agreement of first-order and leverage-corrected influence with each kind of truth; Fig. 5.3."""
    run, model, progress = context.run, context.model, context.progress
    scores = {name: influence.scores(run, model, name, progress) for name in influence.TITLES}
    truth, _ = proximal(run, model, progress)
    going_on = continued(run, model, progress)
    table = pd.concat(
        [_judged(array, kind, name) for kind in (truth, going_on) for name, array in scores.items()], ignore_index=True
    )
    facts = {"agreement": table.to_dict("records"), "proximal": _about(truth), "continued": _about(going_on)}
    sections = [_figure_5_3(context, scores[influence.CG], truth, table), _other_kinds(table, truth, going_on)]
    sections += [_pictures(context, scores, kind) for kind in (truth, going_on)]
    return Outcome(sections, facts)


def _judged(array: xr.DataArray, truth: xr.Dataset, name: str) -> pd.DataFrame:
    table = agreement(array, truth)
    table["method"] = name
    return table


def _about(truth: xr.Dataset) -> dict[str, Any]:
    return {
        "refits": int(truth.sizes["removed"] * truth.sizes["seed"]),
        "gradients": float(truth["evaluations"].median()),
        "distance": float(truth["distance"].median()),
        "unconverged": int((~truth["converged"]).sum()),
        "precision": truth.attrs["precision"],
    }


def picked(table: pd.DataFrame, kind: str, method: str, sample: str, query: int) -> pd.Series:
    """One row of an agreement table."""
    mask = (table["kind"] == kind) & (table["method"] == method) & (table["sample"] == sample)
    found: pd.Series = table[mask & (table["query"] == query)].iloc[0]
    return found


def _figure_5_3(context: Context, array: xr.DataArray, truth: xr.Dataset, table: pd.DataFrame) -> Section:
    panels, sentences = [], []
    for subject in context.model.subjects:
        row = picked(table, "proximal", influence.CG, MOST, subject.id)
        mine = truth["chosen"].sel(sample=MOST, query=subject.id)
        ids = truth["removed"].values[mine.values]
        actual = actual_of(truth, array, subject.id, ids)
        words = f"r = {row['pearson']:.4f} [{row['pearson_low']:.4f}, {row['pearson_high']:.4f}]"
        panels.append(Versus(actual, array.sel(query=subject.id, train=ids), subject.name, words))
        if subject.column is not None:
            interval = (float(row["pearson_low"]), float(row["pearson_high"]))
            printed = TABLE_5_1[PREDICTED][subject.column]
            sentences.append(beside(f"{subject.name}, n = {row['n']}", float(row["pearson"]), interval, printed))
    return Section(
        "Figure 5.3",
        "Predicted influence (conjugate gradients) against the refitted one, on the thesis' own selection",
        tuple(sentences),
        figures=(context.figure("predicted-against-actual", against(panels)),),
        source="Pearson 0.742 (incorrectly) and 0.805 (correctly classified 6), against continued retraining.",
        chapter="5 Results",
    )


def actual_of(truth: xr.Dataset, like: xr.DataArray, query: int, ids: Any) -> xr.DataArray:
    """The mean effect of removing each of ``ids`` on one query, as an array over ``train`` with labels."""
    effect = truth["effect"].mean("seed").sel(query=query, removed=ids)
    labels = {name: ("train", like.sel(train=ids)[name].values) for name in ("train_label", "train_prediction")}
    attrs = {**truth.attrs, "quantity": f"actual {truth.attrs['quantity']}"}
    return xr.DataArray(effect.values, dims=("train",), coords={"train": ids, **labels}, attrs=attrs)


def _other_kinds(table: pd.DataFrame, truth: xr.Dataset, going_on: xr.Dataset) -> Section:
    columns = ["kind", "method", "sample", "query", "n", "pearson", "pearson_low", "pearson_high", "spearman"]
    columns += ["within_sign_pearson", "top_k_overlap", "ceiling", "unconverged"]
    about = [(kind.attrs["kind"], _about(kind)) for kind in (truth, going_on)]
    return Section(
        "",
        "Agreement with two kinds of truth",
        tuple(
            f"{kind}: {said['refits']} refits in {said['precision']}, {said['gradients']:g} full gradients each "
            f"(median), moved by {said['distance']:.3g} (median), {said['unconverged']} not converged."
            for kind, said in about
        ),
        {"agreement with refits": table[columns]},
        chapter="6 Beyond the thesis",
    )


def _pictures(context: Context, scores: dict[str, xr.DataArray], truth: xr.Dataset) -> Section:
    figures, kind = [], truth.attrs["kind"]
    for subject in context.model.subjects:
        for name in JUDGED:
            array = scores[name].sel(query=[subject.id], train=truth["train"].values)
            mine = truth.sel(query=[subject.id])
            table = agreement(array, mine)
            figure = predicted_against_actual(array, mine, subject.id, table)
            figures.append(context.figure(f"{kind}-{name}-{subject.id}", figure))
    words = f"samples: {MOST} (half of them the largest scores, half the smallest) and {RANDOM}"
    title = f"Predicted against {kind} refits"
    return Section("", title, (words,), figures=tuple(figures), chapter="6 Beyond the thesis")

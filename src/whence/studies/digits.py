"""The main job on real digits: train, find the influential examples of the mistakes, and check them by refits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.baselines import GradientDot, Loss
from whence.attribution.explainer import Explainer
from whence.attribution.influence import InfluenceFunction
from whence.attribution.similarity import Similarity
from whence.evaluation import agreement, choose_removals, summary
from whence.execution import RunError, RunFolder
from whence.exhibit import Choices, exhibit
from whence.plots import gallery, influence_by_class, predicted_against_actual
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.solvers.dense import Dense
from whence.studies.digits_model import SCALES, DigitsModel, mapper_for, picture_of, prepare
from whence.studies.reopened import Reopened
from whence.studies.study import Progress, Report, Settings, Study

DAMPING = 0.05
LAYERS = ("input", "h3_d")
"""Pixels, and the last layer before the output: where a page shows the images, and how similar they are."""


def run(run: RunFolder, settings: Settings) -> Report:
    """Scores, proximal truth, agreement, the examples behind one mistake, and the figures."""
    progress, report = Progress("digits"), Report("digits")
    model = prepare(run, settings, progress)
    fits = {name: cache(partial(one.fit, model.task, model.train)) for name, one in methods(model, DAMPING).items()}
    scores = {name: _scores(run, name, fit, model, progress) for name, fit in fits.items()}
    truth = proximal_truth(run, settings, model, scores["influence"], DAMPING, progress)
    table = agreements(scores, truth)
    report.appendix["agreement with refits, by query"] = table
    report.tables["agreement with refits"] = with_outcome(table, model)
    _describe(report, model, truth)
    _show_mistake(run, report, model, scores, truth, table)
    if settings.size == "full":
        from whence.studies import digits_full

        digits_full.extend(run, settings, model, scores, report, progress)
    _exhibit(run, model, fits["leverage-corrected"], progress)
    progress.say("done")
    return report


def methods(model: DigitsModel, damping: float) -> dict[str, AbstractAttributor]:
    """What is compared, by the name under which it is kept."""
    return {
        "influence": InfluenceFunction(Dense(), damping, model.hessian),
        "leverage-corrected": ApproximateLeaveOneOut(Dense(), damping, model.hessian),
        "gauss-newton": InfluenceFunction(Dense(), damping, "gauss-newton"),
        "gradient-dot": GradientDot(),
        "loss": Loss(),
    }


def _scores(
    run: RunFolder, name: str, fit: Callable[[], Explainer], model: DigitsModel, progress: Progress
) -> xr.DataArray:
    if run.path(name).exists():
        kept: xr.DataArray = run.load(name)
        return kept
    progress.say(f"scores by {name}")
    found = fit().attribute(model.queries)
    found.attrs["label"] = name
    run.save(name, found)
    return found


def proximal_truth(
    run: RunFolder, settings: Settings, model: DigitsModel, scores: xr.DataArray, damping: float, progress: Progress
) -> xr.Dataset:
    """Refits without the most influential examples of each query and without random ones, in float64."""
    scale = SCALES[settings.size]
    chosen = choose_removals(scores, scale.most, scale.random, settings.seed)
    progress.say(f"{chosen.sizes['removed']} proximal refits at damping {damping:g}, each serving all queries")
    refit = Proximal(damping, curvature=model.hessian)
    truth = leave_out(
        model.task,
        model.train,
        model.queries,
        chosen["removed"].values,
        refit,
        mapper=mapper_for(settings),
        shelf=run.shelf(f"proximal-{damping:g}"),
    )
    truth = truth.assign(chosen=chosen)
    run.save(f"truth-proximal-{damping:g}", truth)
    return truth


def agreements(scores: dict[str, xr.DataArray], truth: xr.Dataset) -> pd.DataFrame:
    """One row a (method, sample, query); methods that state no difference of losses are compared by rank."""
    tables = []
    for name, array in scores.items():
        rank_only = array.attrs["quantity"] != truth.attrs["quantity"]
        table = agreement(array, truth, rank_only=rank_only)
        table["method"] = name
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def with_outcome(table: pd.DataFrame, model: DigitsModel) -> pd.DataFrame:
    """The summary over all queries, and over the wrong and the correct ones apart."""
    outcome = dict(zip(model.queries.ids.tolist(), model.wrong.tolist(), strict=True))
    wrong = table["query"].map(outcome)
    parts = [("all", table), ("wrong", table[wrong]), ("correct", table[~wrong])]
    found = [summary(part).assign(of=name) for name, part in parts if len(part)]
    columns = ["method", "kind", "sample", "of", "queries", "n", "median_pearson", "min_pearson", "median_spearman"]
    columns += ["median_within_sign_pearson", "median_top_k_overlap", "median_pearson_low", "median_pearson_high"]
    return pd.concat(found, ignore_index=True)[[*columns, "unconverged"]]


def _describe(report: Report, model: DigitsModel, truth: xr.Dataset) -> None:
    evaluations = float(truth["evaluations"].median())
    report.facts |= {
        "test_accuracy": model.accuracy,
        "wrong_queries": int(model.wrong.sum()),
        "damping": DAMPING,
        "refits": truth.sizes["removed"],
        "gradients_per_refit_median": evaluations,
        "distance_moved_median": float(truth["distance"].median()),
        "unconverged": int((~truth["converged"]).sum()),
    }
    report.sentences += [
        f"Test accuracy {model.accuracy:.1%}; queries: {int(model.wrong.sum())} mistakes and as many correct digits.",
        f"Truth: {truth.sizes['removed']} proximal refits (damping {DAMPING:g}) in {truth.attrs['precision']}, "
        f"{evaluations:g} full gradients each (median), {report.facts['unconverged']} not converged.",
        "'most influential': each query's examples with the largest |influence|; 'random': the same for all queries.",
    ]


def _show_mistake(
    run: RunFolder,
    report: Report,
    model: DigitsModel,
    scores: dict[str, xr.DataArray],
    truth: xr.Dataset,
    table: pd.DataFrame,
) -> None:
    """The most helpful and harmful examples of the mistake with the largest loss, with their actual effects."""
    array = scores["leverage-corrected"]
    losses = array["query_loss"].where(xr.DataArray(model.wrong | ~model.wrong.any(), dims="query"), -np.inf)
    query = array["query"].values[int(np.argmax(losses.values))]
    top = array.whence.top(5, query=query)
    actual = truth["effect"].mean("seed").sel(query=query)
    known = set(actual["removed"].values.tolist())
    top["actual"] = [float(actual.sel(removed=i)) if i in known else np.nan for i in top["train"]]
    report.tables[f"digit {query}: most helpful and most harmful examples"] = top
    label, said = (int(array.sel(query=query)[f"query_{what}"]) for what in ("label", "prediction"))
    report.sentences.append(f"Digit {query} is a {label} that the model takes for a {said}.")
    pictures: dict[str, Any] = {"k": 5, "query_picture": picture_of(model.queries)}
    report.add_figure(run, "gallery", gallery(array, query, picture_of(model.train), **pictures))
    report.add_figure(run, "influence-by-class", influence_by_class(array, query))
    for name in ("influence", "leverage-corrected"):
        rows = table[table["method"] == name].assign(method=scores[name].attrs["method"])
        figure = predicted_against_actual(scores[name], truth, query, rows)
        report.add_figure(run, f"predicted-against-actual-{name}", figure)


def _exhibit(run: RunFolder, model: DigitsModel, corrected: Callable[[], Explainer], progress: Progress) -> None:
    """What a page shows beside the scores; similarities stand there to be plotted against influence."""
    for layer in LAYERS:
        fit = partial(Similarity(layer, "cosine").fit, model.task, model.train)
        _scores(run, f"cosine-{layer}", fit, model, progress)
    choices = Choices(
        title="Handwritten digits",
        layers=LAYERS,
        self_influence=lambda: corrected().self_influence(),
        refit="study",
        damping=DAMPING,
    )
    exhibit(run, model.task, model.train, model.queries, choices, progress.say)


def reopen(run: RunFolder, settings: Settings) -> Reopened:
    """The trained network of a run; raises RunError if it is not kept yet."""
    if "trained" not in run.shelf("model").done():
        raise RunError(f"{run.folder} holds no trained network yet; give the study's command again, then refit")
    model = prepare(run, settings, Progress("digits"))
    return Reopened(model.task, model.train, model.queries, Proximal(DAMPING, curvature=model.hessian))


STUDY = Study(
    "digits", "a small all-convolutional network on real handwritten digits, checked by refits", run, reopen=reopen
)

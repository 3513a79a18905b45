"""Stage ``truth``: refits without the most influential examples and without random ones, of several kinds."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from whence.evaluation import agreement
from whence.evaluation.choosing import MOST, RANDOM
from whence.plots import against, predicted_against_actual
from whence.plots.against import Versus
from whence.studies.mnist import influence, refits, sweep
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.thesis import PREDICTED, TABLE_5_1, beside
from whence.studies.section import Section

JUDGED = (influence.CG, influence.CORRECTED)


def work(context: Context) -> Outcome:
    """Agreement of first-order and leverage-corrected influence with each kind of truth; Fig. 5.3."""
    run, model, progress = context.run, context.model, context.progress
    scores = {name: influence.scores(run, model, name, progress) for name in influence.TITLES}
    truth, _ = refits.proximal(run, model, progress)
    going_on = refits.continued(run, model, progress)
    table = pd.concat(
        [_judged(array, kind, name) for kind in (truth, going_on) for name, array in scores.items()], ignore_index=True
    )
    facts = {"agreement": table.to_dict("records"), "proximal": _about(truth), "continued": _about(going_on)}
    sections = [_figure_5_3(context, scores[influence.CG], truth, table), _other_kinds(table, truth, going_on)]
    sections += [_pictures(context, scores, kind) for kind in (truth, going_on)]
    section, swept = sweep.sections(context, (truth, going_on))
    sections.append(section)
    facts["sweep"] = swept.to_dict("records")
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
        actual = refits.actual_of(truth, array, subject.id, ids)
        words = f"r = {row['pearson']:.4f} [{row['pearson_low']:.4f}, {row['pearson_high']:.4f}]"
        predicted = array.sel(query=subject.id, train=ids)
        predicted = predicted.assign_attrs(quantity=f"predicted {array.attrs['quantity']}")
        panels.append(Versus(actual, predicted, subject.name, words))
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

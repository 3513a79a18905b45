"""Stage ``outliers``: do the images far from their class's centroid have the largest influence? Fig. 5.16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.evaluation.choosing import MOST
from whence.evaluation.overlap import compare_groups, farthest, overlap
from whence.plots import outlier_boxes
from whence.plots.far_and_near import FarAndNear
from whence.studies.mnist import influence, metrics, refits
from whence.studies.mnist.model import Subject
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.thesis import LAYERS, OVERLAP
from whence.studies.section import Section

FARTHEST = "Mahalanobis distance to own centroid"
LAYER = "logits"


def work(context: Context) -> Outcome:
    run, model, progress = context.run, context.model, context.progress
    predicted = influence.scores(run, model, influence.CG, progress)
    actual, _ = refits.proximal(run, model, progress)
    distance = metrics.scores(run, model, FARTHEST, LAYER, progress).isel(query=0, drop=True)
    found = [_groups(distance, predicted, actual, subject) for subject in model.subjects]
    panels, rows = [panel for panel, _ in found], [row for _, rows in found for row in rows]
    shared = pd.DataFrame([_overlap(context, layer, predicted, s) for layer in LAYERS for s in model.subjects])
    section = Section(
        "Figure 5.16",
        "Size of the influence of the tenth farthest from their class's centroid, and of the rest",
        (*[_in_words(row) for row in rows], *_overlap_words(context, shared)),
        {"far from the centroid and the rest": pd.DataFrame(rows), "overlap with the most influential": shared},
        (context.figure("outliers", outlier_boxes(panels)),),
        "Outliers from the centroid also capture the outliers in influence, their median is slightly larger; of the "
        f"500 largest Mahalanobis distances {OVERLAP[0]} and {OVERLAP[1]} are among the 500 most influential.",
        "5 Results",
    )
    return Outcome([section], {"outliers": rows, "overlap": shared.to_dict("records")})


def _groups(
    distance: xr.DataArray, predicted: xr.DataArray, actual: xr.Dataset, subject: Subject
) -> tuple[FarAndNear, list[dict[str, Any]]]:
    """Those far from their centroid against the rest: actual influence on the thesis' selection, predicted on all."""
    everywhere = predicted.sel(query=subject.id)
    ids = actual["removed"].values[actual["chosen"].sel(sample=MOST, query=subject.id).values]
    effect = refits.actual_of(actual, predicted, subject.id, ids)
    far = farthest(distance)
    rows, panel = [], FarAndNear(everywhere, far, subject.name)
    for name, values in (("predicted, all images", everywhere), ("actual, most influential images", effect)):
        marked = far.sel(train=values["train"].values)
        if min(int(marked.sum()), int((~marked).sum())) < 2:
            continue
        sized = values.copy(data=np.abs(values.values))
        rows.append({"image": subject.name, "influence": name, **compare_groups(sized, marked)})
        panel = FarAndNear(values, marked, subject.name)
    return panel, rows


def _in_words(row: dict[str, Any]) -> str:
    return (
        f"{row['image']}, {row['influence']}: median size {row['median_marked']:.2g} of the {row['marked']} farthest, "
        f"{row['median_rest']:.2g} of the other {row['rest']}, ratio {row['ratio']:.2f} [{row['ratio_low']:.2f}, "
        f"{row['ratio_high']:.2f}]; a far image has the larger influence with probability {row['auc']:.2f} "
        f"(p = {row['p']:.1g})."
    )


def _overlap(context: Context, layer: str, predicted: xr.DataArray, subject: Subject) -> dict[str, Any]:
    """The farthest by Mahalanobis distance in a layer, as many as are most influential, and what both share."""
    distance = metrics.scores(context.run, context.model, FARTHEST, layer, context.progress).isel(query=0)
    row = predicted.sel(query=subject.id)
    size = min(500, row.sizes["train"] // 2)
    ids = row["train"].values
    most = ids[np.argsort(-np.abs(row.values), kind="stable")[:size]]
    far = ids[np.argsort(-distance.values, kind="stable")[:size]]
    found = overlap(far, most, len(ids))
    return {
        "layer": layer,
        "image": subject.name,
        "of": size,
        "shared": found.count,
        "by chance": found.expected,
        "chance low": found.low,
        "chance high": found.high,
        "p": found.p_value,
    }


def _overlap_words(context: Context, shared: pd.DataFrame) -> list[str]:
    words = []
    for subject in context.model.subjects:
        row = shared[(shared["layer"] == LAYER) & (shared["image"] == subject.name)].iloc[0]
        printed = "" if subject.column is None else f"; the thesis prints {OVERLAP[subject.column]} of 500"
        words.append(
            f"{subject.name}: {row['shared']} of the {row['of']} largest Mahalanobis distances in the {LAYER} are "
            f"among the {row['of']} most influential by prediction; by chance {row['by chance']:.0f} "
            f"[{row['chance low']:.0f}, {row['chance high']:.0f}]{printed}."
        )
    words.append("Influence over all images is predicted (they are not all refitted).")
    return words

"""Stage ``metrics``: every metric in every layer against actual influence; Table 5.1 and the figures of section 5.2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import xarray as xr

from whence.attribution.attributor import AbstractAttributor
from whence.attribution.centroid import CentroidDistance, CentroidRelationship
from whence.attribution.similarity import Similarity
from whence.embedding.activations import INPUT
from whence.evaluation.association import association
from whence.evaluation.choosing import MOST
from whence.evaluation.statistics import pearson, spearman
from whence.execution import RunFolder
from whence.plots import against, heat_table
from whence.plots.against import Versus
from whence.studies.mnist import influence, refits
from whence.studies.mnist.model import MnistModel
from whence.studies.mnist.near import near_and_far
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.table import table_5_1
from whence.studies.mnist.thesis import LAYERS, PREDICTED
from whence.studies.section import Section
from whence.studies.study import Progress

EVERYWHERE = (INPUT, *LAYERS)
KINDS: dict[str, Any] = {
    "cosine similarity": lambda layer: Similarity(layer, "cosine"),
    "minus Euclidean distance": lambda layer: Similarity(layer, "euclidean"),
    "minus Mahalanobis distance": lambda layer: Similarity(layer, "mahalanobis"),
    "cosine distance to own centroid": lambda layer: CentroidDistance(layer, "cosine"),
    "Mahalanobis distance to own centroid": lambda layer: CentroidDistance(layer, "mahalanobis"),
    "centroid relationship": lambda layer: CentroidRelationship(layer),
}
ROWS: dict[str, tuple[str, str]] = {
    "Mahalanobis distance": ("Mahalanobis distance to own centroid", "logits"),
    "cosine similarity, input": ("cosine similarity", INPUT),
    "cosine similarity, logits": ("cosine similarity", "logits"),
    "centroid relationship": ("centroid relationship", "logits"),
}
"""The rows of Table 5.1: metric and layer."""


def scores(run: RunFolder, model: MnistModel, kind: str, layer: str, progress: Progress) -> xr.DataArray:
    """One metric in one layer, for the subjects; from the run folder if it is there."""
    name = f"{kind.replace(' ', '-')}.{layer}"
    if not run.path(name).exists():
        progress.say(f"{kind} in {layer}")
        method: AbstractAttributor = KINDS[kind](layer)
        run.save(name, method.fit(model.task, model.train).attribute(model.asked))
    kept: xr.DataArray = run.load(name)
    return kept


def work(context: Context) -> Outcome:
    run, model, progress = context.run, context.model, context.progress
    actual, _ = refits.proximal(run, model, progress)
    found = {(k, layer): scores(run, model, k, layer, progress) for k in KINDS for layer in EVERYWHERE}
    entries = {PREDICTED: influence.scores(run, model, influence.CG, progress)}
    entries |= {"leverage-corrected influence": influence.scores(run, model, influence.CORRECTED, progress)}
    entries |= {name: found[metric] for name, metric in ROWS.items()}
    sections = [table_5_1(entries, actual, model.subjects), _all_layers(context, found, actual)]
    sections += [_figure_5_7(context, found)]
    for number, title, metric in (
        ("Figure 5.6", "Cosine similarity of pixels against actual influence", ("cosine similarity", INPUT)),
        ("Figure 5.11", "Cosine similarity in the logits against actual influence", ("cosine similarity", "logits")),
        ("Figure 5.17", "Centroid relationship against actual influence", ("centroid relationship", "logits")),
    ):
        sections.append(_scatter(context, number, title, found[metric], actual))
    for subject in model.subjects:
        sections += near_and_far(context, subject, found["cosine similarity", "logits"])
    table = sections[0].tables["Table 5.1"]
    shrunk = _shrunk(found)
    sections[1] = _with_sentence(sections[1], shrunk)
    return Outcome(sections, {"table_5_1": table.to_dict("records")})


def _all_layers(context: Context, found: dict[tuple[str, str], xr.DataArray], actual: xr.Dataset) -> Section:
    """All metrics in all layers, on the thesis' selection: Spearman's correlation, which no outlier can make."""
    tables, best = {}, []
    for subject in context.model.subjects:
        mine = actual.sel(query=[subject.id], sample=[MOST])
        table = pd.DataFrame(index=list(KINDS), columns=list(EVERYWHERE), dtype=float)
        for (kind, layer), array in found.items():
            table.loc[kind, layer] = association(array, mine, resamples=0)["spearman"].iloc[0]
        tables[subject.name] = table
        where = table.abs().stack().idxmax()
        best.append(f"{subject.name}: the largest |ρ| is {table.loc[where]:+.3f}, {where[0]} in {where[1]}.")
    return Section(
        "",
        "All metrics in all layers against actual influence",
        tuple(best),
        {f"Spearman, {name}": table.rename_axis("metric").reset_index() for name, table in tables.items()},
        figures=(context.figure("metrics-by-layer", heat_table(tables)),),
        source="The thesis shows the logits only.",
        chapter="6 Beyond the thesis",
    )


def _shrunk(found: dict[tuple[str, str], xr.DataArray]) -> str:
    said: dict[str, float] = {}
    for (kind, layer), array in found.items():
        if "Mahalanobis" in kind:
            own = array.attrs["notes"].get("shrinkage", {})
            said[layer] = max([said.get(layer, 0.0), *map(float, own.values())])
    used = [f"{layer} {value:.2g}" for layer, value in said.items() if value > 0]
    return f"Shrinkage of covariances that are singular or nearly so: {', '.join(used) or 'none was needed'}."


def _with_sentence(section: Section, words: str) -> Section:
    return replace(section, sentences=(*section.sentences, words))


def _scatter(context: Context, number: str, title: str, array: xr.DataArray, actual: xr.Dataset) -> Section:
    panels, sentences = [], []
    for subject in context.model.subjects:
        ids = actual["removed"].values[actual["chosen"].sel(sample=MOST, query=subject.id).values]
        row = association(array, actual.sel(query=[subject.id], sample=[MOST])).iloc[0]
        words = f"r = {row['pearson']:+.3f} [{row['pearson_low']:+.3f}, {row['pearson_high']:+.3f}]"
        effect = refits.actual_of(actual, array, subject.id, ids)
        panels.append(Versus(array.sel(query=subject.id, train=ids), effect, subject.name, words))
        sentences.append(f"{subject.name}: n = {row['n']}, {words}, Spearman {row['spearman']:+.3f}.")
    name = number.lower().replace(" ", "-").replace(".", "-")
    source = {
        "Figure 5.6": "Little correlation for either image (0.032, 0.095).",
        "Figure 5.11": "Little correlation for the incorrectly classified 6; the class 6 lies close to the correctly "
        "classified 6 and has positive influence (-0.110, 0.201).",
        "Figure 5.17": "Clear separation of classes; little correlation for the incorrectly classified 6, a high "
        "centroid relationship goes with high influence for the correctly classified one (-0.116, 0.251).",
    }[number]
    figure = context.figure(name, against(panels))
    return Section(number, title, tuple(sentences), figures=(figure,), source=source, chapter="5 Results")


def _figure_5_7(context: Context, found: dict[tuple[str, str], xr.DataArray]) -> Section:
    """Pixel similarity against embedding similarity over all training images: n is large, so no interval is needed."""
    pixels, logits = found["cosine similarity", INPUT], found["cosine similarity", "logits"]
    panels, sentences = [], []
    for subject in context.model.subjects:
        x, y = logits.sel(query=subject.id), pixels.sel(query=subject.id)
        words = f"r = {pearson(x.values, y.values):+.3f}"
        panels.append(Versus(x, y, subject.name, words))
        sentences.append(
            f"{subject.name}: n = {x.sizes['train']}, {words}, Spearman {spearman(x.values, y.values):+.3f}."
        )
    return Section(
        "Figure 5.7",
        "Similarity of pixels against similarity in the embedding",
        tuple(sentences),
        figures=(context.figure("figure-5-7", against(panels)),),
        source="Little correlation, but the embedding groups images of the same label.",
        chapter="5 Results",
    )

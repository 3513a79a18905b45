"""Stage ``predictor``: influence from features of one forward pass; the thesis' network (Table 4.3, Fig. 5.18) beside.

Trees learn the actual influence of some queries and are judged on other queries, which they have never seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.embedding.activations import activations
from whence.evaluation.choosing import MOST
from whence.evaluation.statistics import pearson, spearman
from whence.examples import Examples
from whence.plots import against, ranked_bars, training_curves
from whence.plots.against import Versus
from whence.predictor.blocks import LAYERWISE, block_features
from whence.predictor.boosted import Boosted
from whence.predictor.features import COSINE, KERNEL, LOSS, PRECONDITIONED, Features, joined, pair_features
from whence.predictor.held_out import OTHER, OWN, held_out, summary
from whence.predictor.thesis_network import Fitted, ThesisNetwork, split, thesis_inputs
from whence.studies.mnist import influence, refits
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section

LAYERS = ("h3_a", "h3_c", "h3_d", "logits")
NETWORKS = {
    "thesis' network": ThesisNetwork(),
    "thesis' network, scaled targets, Glorot": ThesisNetwork(scale=True, initial="glorot"),
}
FORWARD, BOTH = "trees on forward passes", "trees on forward passes and layers' influence"
REFERENCES = {
    "gauss-newton": "not learnt: influence, Gauss-Newton",
    influence.EXACT: "not learnt: influence, exact",
    influence.CORRECTED: "not learnt: leverage-corrected influence",
}
OF_QUERIES = 6
"""The thesis' networks, one a query, are trained for this many queries."""
FOLDS = 5


def work(context: Context) -> Outcome:
    run, model, progress = context.run, context.model, context.progress
    _, whole = refits.proximal(run, model, progress)
    removed = model.train.select(whole["removed"].values)
    effects = whole["effect"].mean("seed").transpose("query", "removed").values
    ids = whole["query"].values
    progress.say(f"features of {len(ids)} x {len(removed)} pairs")
    queries = model.queries.select(ids)
    forward = pair_features(model.task, queries, removed, LAYERS, model.train)
    features = joined(forward, block_features(model.task, queries, removed, model.train))
    progress.say("trees, judged on queries that they have not seen")
    options: dict[str, Any] = {"folds": min(FOLDS, len(ids) // 2), "seed": context.settings.seed}
    known = _influences(context, ids, whole["removed"].values)
    single = (PRECONDITIONED, KERNEL, COSINE, LOSS)
    learnt = [
        held_out(forward, effects, ids, boosted={FORWARD: Boosted()}, baselines=single, **options),
        held_out(features, effects, ids, boosted={BOTH: Boosted()}, baselines=(LAYERWISE,), **options),
        held_out(known, effects, ids, boosted={}, baselines=known.names, **options),
    ]
    table = pd.concat(learnt, ignore_index=True)
    inputs = _inputs(context, removed)
    few = np.arange(min(OF_QUERIES, len(ids)))
    progress.say("the thesis' network, one a query")
    networks = held_out(
        features.of(few),
        effects[few],
        ids[few],
        folds=2,
        boosted={},
        baselines=(),
        networks=NETWORKS,
        inputs=inputs,
    )
    found = summary(pd.concat([table, networks], ignore_index=True))
    sections = [
        _table_4_3(),
        _figure_5_18(context, inputs, whole, effects),
        _better(context, found, len(features.names)),
    ]
    return Outcome(sections, {"predictors": found.to_dict("records"), "predictors_by_query": table.to_dict("records")})


def _influences(context: Context, queries: Any, removed: Any) -> Features:
    """Influence functions' own answers as features: what a cheap predictor is to be held against."""
    arrays = [influence.scores(context.run, context.model, name, context.progress) for name in REFERENCES]
    values = [array.sel(query=queries, train=removed).values for array in arrays]
    return Features(np.stack(values, axis=2).astype(np.float32), tuple(REFERENCES.values()))


def _inputs(context: Context, removed: Examples) -> Any:
    logits = activations(context.model.module, "logits", removed)["logits"].numpy()
    return thesis_inputs(logits, removed.targets().numpy())


def _table_4_3() -> Section:
    network = ThesisNetwork()
    rows = [
        ("layers", network.layers, 5),
        ("nodes a layer", network.nodes, 100),
        ("activation", "ReLU", "ReLU"),
        ("kernel initialiser", network.initial, "uniform"),
        ("loss", "mean absolute error", "mean absolute error"),
        ("optimizer", "Adam", "Adam"),
        ("L2 regularisation", network.l2, 0.0001),
        ("epochs", network.epochs, 250),
        ("batch size", network.batch, 25),
        ("learning rate", network.learning_rate, 0.001),
    ]
    table = pd.DataFrame(rows, columns=["parameter", "ours", "thesis"])
    table["same"] = table["ours"] == table["thesis"]
    words = f"{int(table['same'].sum())} of {len(table)} as in the thesis."
    shown = table.astype({"ours": str, "thesis": str})
    return Section("Table 4.3", "The network that predicts influence", (words,), {"network": shown}, chapter="4 Method")


def _figure_5_18(context: Context, inputs: Any, whole: xr.Dataset, effects: Any) -> Section:
    """The thesis' experiment: learn part of the most influential images' influence on one query, look at the rest."""
    model = context.model
    subject = model.subjects[0]
    truth_of_subject, _ = refits.proximal(context.run, model, context.progress)
    mine = np.flatnonzero(truth_of_subject["chosen"].sel(sample=MOST, query=subject.id).values)
    y = effects[whole["query"].values.tolist().index(subject.id)][mine]
    fit, rest = split(len(mine), seed=context.settings.seed)
    network = ThesisNetwork(seed=context.settings.seed)
    fitted: Fitted = network.fit(inputs[mine][fit], y[fit], (inputs[mine][rest], y[rest]))
    like = influence.scores(context.run, model, influence.CG, context.progress)
    panels, words = [], []
    for name, part in (("images it was trained on", fit), ("images held out", rest)):
        ids = whole["removed"].values[mine[part]]
        actual = refits.actual_of(whole, like, subject.id, ids)
        predicted = actual.copy(data=fitted.predict(inputs[mine][part]))
        predicted.attrs["quantity"] = f"predicted {whole.attrs['quantity']}"
        r, rho = (statistic(predicted.values, actual.values) for statistic in (pearson, spearman))
        panels.append(Versus(actual, predicted, name, f"r = {r:+.3f}" if np.isfinite(r) else ""))
        said = f"r = {r:+.3f}, Spearman {rho:+.3f}" if np.isfinite([r, rho]).all() else "no correlation is defined"
        words.append(f"{name.capitalize()}: n = {len(part)}, {said}.")
    curves = {
        "trained on": (np.arange(len(fitted.train_error)), fitted.train_error),
        "held out": (np.arange(len(fitted.held_out_error)), fitted.held_out_error),
    }
    best = int(np.argmin(fitted.held_out_error))
    words.append(
        f"The held-out error is least after {best} epochs ({fitted.held_out_error[best]:.2g}) and ends at "
        f"{fitted.held_out_error[-1]:.2g}, the training error at {fitted.train_error[-1]:.2g} (mean absolute, nats)."
    )
    curve = training_curves(curves, axis_labels=("epoch", "mean absolute error (nats)"))
    figures = (context.figure("predictor-curves", curve), context.figure("predictor-thesis", against(panels)))
    return Section(
        "Figure 5.18",
        f"The thesis' network learns the influence on the {subject.name}",
        tuple(words),
        {},
        figures,
        "It overfits after about 15 epochs; validation loss about 0.005, train loss about 0.001; most training images "
        "are predicted rightly, the test images are not.",
        "5 Results",
    )


def _better(context: Context, found: pd.DataFrame, count: int) -> Section:
    words = [
        f"{name}: its predictions are constant for all {row['queries']} queries."
        if row["undefined"] == row["queries"]
        else f"{name}: median Spearman {row['spearman']:.3f} [{row['spearman_low']:.3f}, {row['spearman_high']:.3f}] "
        f"over {row['queries'] - row['undefined']} of {row['queries']} queries"
        + (f", constant for the other {row['undefined']}." if row["undefined"] else ".")
        for name, row in ((row["predictor"], row) for _, row in found.iterrows())
        if name in (FORWARD, BOTH, LAYERWISE, PRECONDITIONED) or name.startswith("thesis' network")
    ]
    words.append(
        f"Trees see {count} features and never the effects of the query that they are judged on; the thesis' network "
        f"({OWN}; {OTHER}) is judged on a fifth of the removals."
    )
    bars = found.rename(columns={"predictor": "name", "spearman": "value"})
    bars = bars.assign(low=bars["spearman_low"], high=bars["spearman_high"])[["name", "value", "low", "high"]]
    figure = ranked_bars(bars, "median Spearman over queries", "Predicting influence on queries that were not seen")
    return Section(
        "",
        "A predictor of influence that carries over to other queries",
        tuple(words),
        {"predictors, median over queries": found},
        (context.figure("predictors", figure),),
        "The thesis' network failed to generalise.",
        "6 Beyond the thesis",
    )

"""How well learnt predictors do on queries they have not learnt from, next to single features and the thesis' network.

A query's effects never enter the fit that predicts them: folds are formed over queries, not over pairs. Nor does
anything else learnt (scales of features use the query's features only).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from whence.evaluation import statistics
from whence.evaluation.bootstrap import Bootstrap
from whence.predictor.blocks import LAYERWISE
from whence.predictor.boosted import Boosted
from whence.predictor.features import COSINE, KERNEL, LOSS, PRECONDITIONED, Features
from whence.predictor.thesis_network import ThesisNetwork, split

Array = npt.NDArray[np.float64]
Judged = tuple[str, int, npt.NDArray[np.int64], Array]
BASELINES = (LAYERWISE, PRECONDITIONED, KERNEL, COSINE, LOSS)
BOOSTED = {f"boosted trees ({target})": Boosted(target) for target in ("asinh", "rms", "ranks")}
OWN, OTHER = "held-out removals of its query", "applied to another query"
STATISTICS = ("spearman", "pearson")


def held_out(
    features: Features,
    effects: npt.NDArray[np.floating],
    query_ids: npt.NDArray[Any],
    *,
    folds: int = 5,
    seed: int = 0,
    boosted: Mapping[str, Boosted] = BOOSTED,
    baselines: Sequence[str] = BASELINES,
    networks: Mapping[str, ThesisNetwork] | None = None,
    inputs: npt.NDArray[np.floating] | None = None,
    bootstrap: Bootstrap | None = None,
) -> pd.DataFrame:
    """One row a (predictor, query): Spearman's and Pearson's correlation with ``effects`` [query, train].

    Columns: predictor, query, n, and the correlations with their percentile bootstrap intervals over removals
    (``_low``, ``_high``); NaN where a correlation is undefined, as for a constant prediction. Effects that are not
    finite are neither learnt from nor judged. Queries that share an id share a fold. ``baselines``: features that are
    judged as they are, if there are any of these names.

    ``networks``: of the thesis, by name, with ``inputs`` [train, d] from :func:`thesis_inputs`. Each learns 80 % of one
    query's removals and is judged on the other 20 %: of the same query, and of the next query, whose effects it never
    saw (only where that query has finite effects there).

    Raises ValueError for shapes that do not fit, fewer queries than folds, or networks without inputs.
    """
    actual, bootstrap = np.asarray(effects, dtype=np.float64), bootstrap or Bootstrap()
    if actual.shape != features.values.shape[:2] or len(query_ids) != len(actual):
        raise ValueError(
            f"effects {actual.shape} and {len(query_ids)} query ids for features of {features.values.shape[:2]} pairs: "
            "give one effect a pair and one id a query."
        )
    groups = folds_of(query_ids, folds, seed)
    judged: list[Judged] = []
    for name, choice in boosted.items():
        judged += _everywhere(name, predict_held_out(choice, features, actual, groups))
    for name in baselines:
        if name in features.names:
            judged += _everywhere(name, features[name].astype(np.float64))
    for name, network in (networks or {}).items():
        if inputs is None or len(inputs) != actual.shape[1]:
            raise ValueError("networks need inputs [train, d], one row a training example: see thesis_inputs.")
        judged += _by_network(name, network, inputs, actual, query_ids, seed)
    return pd.DataFrame(_rows(judged, actual, query_ids, bootstrap))


def summary(table: pd.DataFrame, bootstrap: Bootstrap | None = None) -> pd.DataFrame:
    """One row a predictor: medians over the queries of :func:`held_out`, with their bootstrap intervals over queries.

    ``undefined``: queries without a correlation, as the prediction (or the truth) is constant. They are left out of the
    median, which is then one of the remaining queries only, so predictors with any undefined query come after all
    others, however high their median. Otherwise sorted by the median Spearman correlation, best first.
    """
    bootstrap, rows = bootstrap or Bootstrap(), []
    for name, part in table[table["n"] > 0].groupby("predictor", sort=False):
        row = {"predictor": name, "queries": len(part), "undefined": int(part["spearman"].isna().sum())}
        for statistic in STATISTICS:
            values = part[statistic].to_numpy(dtype=np.float64)
            low, high = bootstrap.median(values)
            middle = float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
            row |= {statistic: middle, f"{statistic}_low": low, f"{statistic}_high": high}
        rows.append(row)
    rows.sort(key=lambda row: (row["undefined"] > 0, -np.nan_to_num(row["spearman"], nan=-np.inf)))
    return pd.DataFrame(rows)


def folds_of(query_ids: npt.NDArray[Any], folds: int = 5, seed: int = 0) -> npt.NDArray[np.int64]:
    """The fold [query] of each query, drawn by the seed; queries of one id share it.

    Raises ValueError for fewer than two folds or fewer different ids than folds.
    """
    distinct, member = np.unique(query_ids, return_inverse=True)
    if not 2 <= folds <= len(distinct):
        raise ValueError(f"{folds} folds of {len(distinct)} queries: give 2 folds or more, and a query for each.")
    fold: npt.NDArray[np.int64] = (np.random.default_rng(seed).permutation(len(distinct)) % folds)[member]
    return fold


def predict_held_out(choice: Boosted, features: Features, effects: Array, fold: npt.NDArray[np.int64]) -> Array:
    """Predictions [query, train], each query's by trees fitted to the queries of the other folds only."""
    predicted = np.full(effects.shape, np.nan)
    for number in np.unique(fold):
        mine = fold == number
        predicted[mine] = choice.fit(features.of(~mine), effects[~mine]).predict(features.of(mine))
    return predicted


def _everywhere(name: str, predicted: Array) -> Iterator[Judged]:
    every = np.arange(predicted.shape[1])
    return ((name, query, every, row) for query, row in enumerate(predicted))


def _by_network(
    name: str,
    network: ThesisNetwork,
    inputs: npt.NDArray[np.floating],
    effects: Array,
    query_ids: npt.NDArray[Any],
    seed: int,
) -> Iterator[Judged]:
    for query, actual in enumerate(effects):
        known = np.flatnonzero(np.isfinite(actual))
        if len(known) < 2:
            continue
        fit, rest = (known[part] for part in split(len(known), seed=seed))
        predicted = network.fit(inputs[fit], actual[fit]).predict(inputs[rest])
        yield f"{name}, {OWN}", query, rest, predicted
        others = [q % len(effects) for q in range(query + 1, query + len(effects))]
        strangers = [q for q in others if query_ids[q] != query_ids[query]]
        if strangers:
            yield f"{name}, {OTHER}", strangers[0], rest, predicted


def _rows(
    judged: Iterable[Judged], actual: Array, query_ids: npt.NDArray[Any], bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    for name, query, removed, predicted in judged:
        truth = actual[query, removed]
        known = np.isfinite(truth)
        x, y = predicted[known], truth[known]
        row: dict[str, Any] = {"predictor": name, "query": query_ids[query], "n": int(known.sum())}
        for statistic in STATISTICS:
            low, high = getattr(bootstrap, statistic)(x, y)
            row |= {statistic: getattr(statistics, statistic)(x, y)}
            row |= {f"{statistic}_low": low, f"{statistic}_high": high}
        yield row

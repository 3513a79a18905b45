"""Removal curves: does removing what a method names first change a prediction more than removing as many at random?

Also called brittleness (Ilyas et al., Datamodels, ICML 2022; Park et al., TRAK, ICML 2023). Removing the examples with
the largest loss is the other baseline.

The work goes in three steps: :func:`plan_removals` says what is removed, ``whence.retraining.leave_out`` refits without
each group (``plan.groups`` is what it takes), :func:`removal_curves` and :func:`removal_areas` read the truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence import results
from whence.evaluation.bootstrap import Bootstrap

RANDOM = "random"
LOSS = "largest loss"
SIZES = (1, 2, 5, 10, 20, 50)
Side = Literal["helpful", "harmful"]


@dataclass(frozen=True)
class RemovalPlan:
    """``groups``: ids that are removed together, by name, each set once; ``steps``: who asked for which.

    One row of ``steps`` a (ranking, query, k, draw): ``group`` names the set. Random sets are the same for all queries.
    """

    groups: Mapping[str, list[Any]]
    steps: pd.DataFrame


def plan_removals(
    scores: Mapping[str, xr.DataArray],
    sizes: Sequence[int] = SIZES,
    draws: int = 5,
    seed: int = 0,
    side: Side = "helpful",
) -> RemovalPlan:
    """Remove the ``sizes`` first of each ranking for each query; as many with the largest loss; ``draws`` random sets.

    ``scores``: arrays [query, train] by name, of the same queries and training examples. ``side``: the most helpful
    first (removing them should raise the measurement) or the most harmful. Similarities and distances remove the
    nearest first, whatever the side. Random sets of a draw contain one another, as the rankings' sets do.
    Raises ResultError if the arrays do not belong together or carry no ``train_loss``, ValueError for impossible sizes.
    """
    first = _checked(scores, sizes, draws, side)
    ids, queries = first["train"].values, first["query"].values.tolist()
    groups: dict[str, list[Any]] = {}
    rows: list[dict[str, Any]] = []

    def take(ranking: str, query: Any, draw: int, order: npt.NDArray[np.int64]) -> None:
        for k in sizes:
            members = np.sort(order[:k])
            name = f"{k}-{hashlib.sha256(repr(ids[members].tolist()).encode()).hexdigest()[:16]}"
            groups.setdefault(name, ids[members].tolist())
            rows.append({"ranking": ranking, "query": query, "k": k, "draw": draw, "group": name})

    generator = np.random.default_rng(seed)
    shuffled = [generator.permutation(len(ids)) for _ in range(draws)]
    heaviest = np.argsort(-np.asarray(first["train_loss"].values, dtype=np.float64), kind="stable")
    for query in queries:
        for name, array in scores.items():
            values = np.asarray(array.sel(query=query, train=ids).values, dtype=np.float64)
            take(name, query, 0, np.argsort(-_first(values, array, side), kind="stable"))
        take(LOSS, query, 0, heaviest)
        for draw, order in enumerate(shuffled):
            take(RANDOM, query, draw, order)
    return RemovalPlan(groups, pd.DataFrame(rows))


def removal_curves(
    plan: RemovalPlan, truth: xr.Dataset, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """The mean effect over queries of removing the k first: one row a (ranking, k).

    ``truth``: of ``plan.groups``, mean over its seeds. Columns: ranking, kind, k, n (queries), chosen, effect with its
    percentile bootstrap interval over queries (``_low``, ``_high``), unconverged (of the refits behind this row).
    Random sets are averaged over their draws first. Raises ResultError if the truth lacks a group or a query.
    """
    bootstrap, effects = Bootstrap(resamples, seed, confidence), _effects(plan, truth)
    rows = []
    for (ranking, k), part in effects.groupby(["ranking", "k"], sort=False):
        each = part.groupby("query", sort=False)["effect"].mean().to_numpy()
        low, high = bootstrap.interval(len(each), _mean_of(each)) if len(each) > 1 else (np.nan, np.nan)
        row = {"ranking": ranking, "kind": truth.attrs["kind"], "k": k, "n": len(each), "chosen": _chosen(str(ranking))}
        row |= {"effect": float(each.mean()), "effect_low": low, "effect_high": high}
        rows.append(row | {"unconverged": int(part.loc[~part["converged"], "group"].nunique())})
    return pd.DataFrame(rows)


def removal_areas(
    plan: RemovalPlan, truth: xr.Dataset, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> pd.DataFrame:
    """The area under each ranking's curve, as the mean effect over sizes from the smallest to the largest.

    Sizes are weighted by the trapezoid rule on log k, so that small removals, where rankings differ, count as much as
    large ones; with one size it is the effect itself. Columns: ranking, kind, n (queries), area and ``above_random``
    (the difference to random removals of the same sizes for the same query) with percentile bootstrap intervals over
    queries. Raises what :func:`removal_curves` raises.
    """
    bootstrap, effects = Bootstrap(resamples, seed, confidence), _effects(plan, truth)
    by_size = effects.groupby(["ranking", "query", "k"], sort=False)["effect"].mean().unstack("k")
    area = (by_size * _weights(by_size.columns.to_numpy(dtype=np.float64))).sum(axis=1).unstack("query")
    rows = []
    for ranking in plan.steps["ranking"].unique():
        row: dict[str, Any] = {"ranking": ranking, "kind": truth.attrs["kind"], "n": area.shape[1]}
        row["chosen"] = _chosen(ranking)
        wanted = {"area": area.loc[ranking].to_numpy()}
        if RANDOM in area.index:
            wanted["above_random"] = (area.loc[ranking] - area.loc[RANDOM]).to_numpy()
        for name, each in wanted.items():
            low, high = bootstrap.interval(len(each), _mean_of(each)) if len(each) > 1 else (np.nan, np.nan)
            row |= {name: float(each.mean()), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _checked(scores: Mapping[str, xr.DataArray], sizes: Sequence[int], draws: int, side: Side) -> xr.DataArray:
    if not scores or side not in ("helpful", "harmful"):
        raise ValueError("give at least one ranking" if not scores else f"side is helpful or harmful, not {side!r}")
    first = results.check(next(iter(scores.values())))
    for name, array in scores.items():
        results.check(array)
        for dim in ("query", "train"):
            if set(array[dim].values.tolist()) != set(first[dim].values.tolist()):
                raise results.ResultError(f"the ranking {name!r} is of other {dim} ids; score the same examples")
        if name in (RANDOM, LOSS):
            raise ValueError(f"{name!r} is the name of a baseline that is always there; give the ranking another")
    if "train_loss" not in first.coords:
        raise results.ResultError("the scores carry no train_loss, which the baseline needs")
    count = first.sizes["train"]
    if not sizes or sorted(set(sizes)) != list(sizes) or not 1 <= sizes[0] <= sizes[-1] < count or draws < 0:
        raise ValueError(f"sizes must rise and lie between 1 and {count - 1}, not {list(sizes)}; draws is 0 or more")
    return first


def _first(values: npt.NDArray[np.float64], array: xr.DataArray, side: Side) -> npt.NDArray[np.float64]:
    """Numbers of which the largest are removed first."""
    if array.attrs["sign"] == results.SIGN:
        return values if side == "helpful" else -values
    return -values if array.attrs["sign"] == results.FAR else values


def _effects(plan: RemovalPlan, truth: xr.Dataset) -> pd.DataFrame:
    """The plan's steps with the effect of each (mean over seeds) and whether its refits converged."""
    results.check_truth(truth)
    known = truth["removed"].values.tolist()
    absent = sorted(set(plan.steps["group"]) - set(known))
    if absent:
        raise results.ResultError(f"the truth lacks {len(absent)} groups of the plan: {absent[:3]}; refit them first")
    row = {name: position for position, name in enumerate(known)}
    column = {name: position for position, name in enumerate(truth["query"].values.tolist())}
    missing = set(plan.steps["query"]) - set(column)
    if missing:
        raise results.ResultError(f"the truth lacks the queries {sorted(missing)[:5]}")
    effect = truth["effect"].mean("seed").transpose("removed", "query").values
    converged = truth["converged"].all("seed").values if "converged" in truth else np.ones(len(known), dtype=bool)
    rows, columns = plan.steps["group"].map(row).to_numpy(), plan.steps["query"].map(column).to_numpy()
    return plan.steps.assign(effect=effect[rows, columns], converged=converged[rows])


def _weights(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of a mean over sizes by the trapezoid rule on log k."""
    if len(sizes) == 1:
        return np.ones(1)
    steps = np.diff(np.log(sizes))
    whole: npt.NDArray[np.float64] = (np.append(steps, 0.0) + np.append(0.0, steps)) / (2 * steps.sum())
    return whole


def _mean_of(each: npt.NDArray[np.float64]) -> Any:
    return lambda counts: counts @ each / counts.sum(1)


def _chosen(ranking: str) -> str:
    if ranking == RANDOM:
        return "drawn at random, the same for all queries"
    return (
        "largest training loss, the same for all queries" if ranking == LOSS else "first by the ranking, for each query"
    )

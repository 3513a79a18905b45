"""The lines of a card: for each method what the library's own functions say of it, as words, and the tables behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from whence.card.flipped import Wrong
from whence.card.plan import Plan
from whence.card.scored import Made
from whence.card.truths import NAMED
from whence.evaluation import (
    agreement,
    class_detection,
    linear_datamodeling,
    mislabel_detection,
    randomised_model,
    removal_areas,
    removal_curves,
    summary,
)
from whence.evaluation.mislabels import LOSS, label_quality
from whence.evaluation.removal_curves import RANDOM, RemovalPlan
from whence.execution.store import RunFolder
from whence.results import ResultError, same_quantity
from whence.studies.study import Report

CLEANLAB = "cleanlab"
COLUMNS = (
    *("Pearson, named", "Spearman, named", "Pearson, random", "Spearman, random", "LDS", "removal above random"),
    *("same class", "drawn anew", "wrong labels", "fit s", "queries s", "MB"),
)


@dataclass
class Lines:
    """A line of words for each method, and the tables that they are taken from."""

    run: RunFolder
    report: Report
    plan: Plan
    made: Made
    lines: dict[str, dict[str, str]] = field(default_factory=dict)

    def put(self, method: str, column: str, words: str) -> None:
        self.lines.setdefault(method, {})[column] = words

    def keep(self, title: str, table: pd.DataFrame) -> None:
        """A table that is written as CSV, and as facts for a program."""
        self.report.appendix[title] = table
        plain = table.astype(object).where(table.notna(), None)
        self.report.facts[title] = [{str(k): _plain(v) for k, v in row.items()} for row in plain.to_dict("records")]

    def refits(self, truth: xr.Dataset) -> None:
        self.run.save("truth", truth)
        tables = []
        for name, scores in self.made.scores.items():
            same = same_quantity(scores.attrs, truth.attrs) and scores.attrs["sign"] == truth.attrs["sign"]
            each = agreement(scores, truth, rank_only=not same, seed=self.plan.seed)
            tables.append(summary(each, seed=self.plan.seed).assign(method=name))
            for row in tables[-1].to_dict("records"):
                for statistic in ("pearson", "spearman"):
                    bounds = [row[f"median_{statistic}{end}"] for end in ("", "_low", "_high")]
                    sample = "named" if row["sample"] == NAMED else "random"
                    self.put(name, f"{statistic.title()}, {sample}", _interval(bounds, digits=3))
        table = pd.concat(tables, ignore_index=True)
        self.keep("agreement with refits", table)
        sizes = {sample: rows["n"].median() for sample, rows in table.groupby("sample", sort=False)}
        told = "; ".join(f"'{sample}': n = {n:g} removals a query" for sample, n in sizes.items())
        self.report.sentences += [
            f"Pearson, Spearman: with {truth.attrs['kind']} refits, medians over {truth.sizes['query']} queries with "
            f"95 % bootstrap intervals over queries ({told}). 'named': the {self.plan.named} most influential for each "
            f"query by every method together; 'random': the same examples for all queries, drawn with seed "
            f"{self.plan.seed}. {_unconverged(truth)}",
        ]

    def subsets(self, truth: xr.Dataset) -> None:
        self.run.save("truth-subsets", truth)
        tables = []
        for name, scores in self.made.scores.items():
            row = linear_datamodeling(scores, truth, seed=self.plan.seed).assign(method=name)
            tables.append(row)
            self.put(name, "LDS", _interval(row[["lds", "lds_low", "lds_high"]].iloc[0]))
        self.keep("linear datamodeling score", pd.concat(tables, ignore_index=True))
        self.report.sentences.append(
            f"LDS: Spearman over {truth.attrs['chosen']}, mean over queries, intervals over subsets and queries. "
            f"{_unconverged(truth)}"
        )

    def removals(self, plan: RemovalPlan, truth: xr.Dataset) -> None:
        from whence.plots import removal_curves as drawn

        self.run.save("truth-removals", truth)
        curves, areas = removal_curves(plan, truth), removal_areas(plan, truth)
        for row in areas.to_dict("records"):
            if row["ranking"] != RANDOM and "above_random" in row:
                bounds = [row[f"above_random{end}"] for end in ("", "_low", "_high")]
                self.put(_baseline(row["ranking"]), "removal above random", _interval(bounds, digits=3))
        self.keep("removal curves", curves)
        self.keep("removal areas", areas)
        unit = f"{truth.attrs['quantity']} ({truth.attrs['unit']})"
        figure = drawn(curves, unit, "The most helpful examples of each query removed, and the model refitted")
        self.report.add_figure(self.run, "removal-curves", figure)
        self.report.sentences.append(
            f"Removal above random: mean {unit} of removing the {', '.join(map(str, sorted(set(curves['k']))))} most "
            f"helpful together, minus that of as many random ones; n = {truth.sizes['query']} queries, the intervals "
            f"are over them. {_unconverged(truth)}"
        )

    def sanity(self) -> None:
        randomised, classes = [], []
        for name, scores in self.made.scores.items():
            row = randomised_model(scores, self.made.randomised[name], seed=self.plan.seed).assign(method=name)
            randomised.append(row)
            self.put(name, "drawn anew", _interval(row[["spearman", "spearman_low", "spearman_high"]].iloc[0]))
            try:
                top = min(self.plan.top, scores.sizes["train"])
                row = class_detection(scores, top, seed=self.plan.seed).assign(method=name)
            except ResultError:
                continue
            classes.append(row)
            self.put(name, "same class", _interval(row[["share", "share_low", "share_high"]].iloc[0]))
        self.keep("randomised models", pd.concat(randomised, ignore_index=True))
        self.report.sentences.append(
            f"Drawn anew: Spearman between these scores and those of {self.plan.models} models with parameters drawn "
            "anew, mean over queries; far from 0 is a warning."
        )
        if classes:
            table = pd.concat(classes, ignore_index=True)
            self.keep("class detection", table)
            self.report.sentences.append(
                f"Same class: share of the {table['k'][0]} most helpful that carry the query's label, by chance "
                f"{table['chance'][0]:.2f}; n = {table['n'][0]} queries."
            )

    def labels(self, wrong: Wrong, found: dict[str, xr.DataArray | str]) -> None:
        given = {name: value for name, value in found.items() if isinstance(value, xr.DataArray)}
        silent = {name: value for name, value in found.items() if isinstance(value, str)}
        constant = [name for name, value in given.items() if float(np.ptp(value.values)) == 0]
        silent |= dict.fromkeys(constant, "the same for every example")
        ranked = {name: value for name, value in given.items() if name not in constant}
        ranked.pop("loss", None)
        ranked[LOSS] = wrong.losses
        if wrong.probabilities is not None:
            ranked[CLEANLAB] = label_quality(wrong.probabilities)
        table = mislabel_detection(ranked, wrong.flipped, seed=self.plan.seed)
        for row in table.to_dict("records"):
            bounds = [row[f"average_precision{end}"] for end in ("", "_low", "_high")]
            self.put({LOSS: "loss"}.get(row["ranking"], row["ranking"]), "wrong labels", _interval(bounds))
        self.keep("wrong labels", table)
        words = f"Wrong labels: average precision (chance {wrong.flipped.values.mean():.2f}) of each method's "
        words += "self-influence (similarities: other labels among the ten nearest), intervals over examples, "
        words += f"n = {len(wrong.flipped)}. {wrong.words}"
        if wrong.probabilities is None:
            words += " cleanlab is not installed, so its ranking is missing: pip install 'whence[baselines]'."
        else:
            words += f" cleanlab: normalised margin of probabilities from {self.plan.folds}-fold cross-validation."
        self.report.sentences.append(words)
        self.report.sentences += [f"Wrong labels by {name}: none; {why}." for name, why in silent.items()]
        raised = {name: value.attrs["damping"] for name, value in given.items() if "damping" in value.attrs}
        if raised:
            told = ", ".join(f"{name} {damping:g}" for name, damping in raised.items())
            self.report.sentences.append(
                "Where the model trained on wrong labels is indefinite at the card's damping, the automatic one is "
                f"taken: {told}."
            )

    def costs(self) -> None:
        rows = []
        for name, scores in self.made.scores.items():
            cost = scores.attrs["cost"]
            fit, ask, start = cost["fit"], cost["attribute"], cost["start"]
            own = ask["peak"] - start if start is not None else float("nan")
            row = {"method": name, "fit_seconds": fit["seconds"], "query_seconds": ask["seconds"]}
            row |= {"processor_seconds": fit["processor"] + ask["processor"], "peak_mb": ask["peak"]}
            rows.append(row | {"above_start_mb": own, "threads": cost["threads"], "queries": scores.sizes["query"]})
            self.put(name, "fit s", f"{fit['seconds']:.2f}")
            self.put(name, "queries s", f"{ask['seconds']:.2f}")
            self.put(name, "MB", f"{ask['peak']:.0f}")
            self.report.sentences += [f"{name} warned: {words}" for words in cost["warned"]]
        table = pd.DataFrame(rows)
        self.keep("costs", table)
        self.report.sentences.append(
            f"Seconds (wall clock, {table['queries'][0]} queries together) and the largest resident memory, data and "
            f"libraries included: each method in a process of its own, {table['threads'][0]} threads."
        )

    def finish(self, first: str, left_out: dict[str, str]) -> Report:
        """The report: the card, the sentences with ``first`` before them, and why methods are left out at the end."""
        columns = {column for line in self.lines.values() for column in line}
        ordered = [column for column in COLUMNS if column in columns]
        rows = [{"method": name} | {c: line.get(c, "–") for c in ordered} for name, line in self.lines.items()]
        self.report.tables["method card"] = pd.DataFrame(rows)
        self.report.sentences += [f"{name} is left out: {why}." for name, why in left_out.items()]
        self.report.sentences.insert(0, first)
        return self.report


def _interval(bounds: Iterable[float], digits: int = 2) -> str:
    """0.98 [0.97, 0.99] from (value, low, high); a dash where there is no value."""
    value, low, high = bounds
    if not np.isfinite(value):
        return "–"
    known = np.isfinite(low) and np.isfinite(high)
    return f"{value:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if known else "")


def _unconverged(truth: xr.Dataset) -> str:
    failed = int((~truth["converged"].all("seed")).sum())
    return f"{failed} of {truth.sizes['removed']} refits did not converge." if failed else "All refits converged."


def _baseline(ranking: str) -> str:
    return "loss" if ranking == "largest loss" else ranking


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value

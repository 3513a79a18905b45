"""The regression picture (thesis, Figure 3.1): an outlier, a leverage point and an influential one, known exactly.

Four least-squares fits: the base points, and the base with A, B or C. Removing the added point from each of the last
three is a leave-one-out whose truth is the first fit. For squared error of a linear model the leverage-corrected
influence is exact, so it must give that truth to rounding, and with it Cook's distance and DFFITS; first-order
influence must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.influence import InfluenceFunction
from whence.attribution.refitted import refit_for
from whence.datasets import line
from whence.examples import Examples
from whence.execution import RunFolder
from whence.exhibit import Choices, exhibit
from whence.models import linear_model
from whence.parameters import load_vector
from whence.plots import regression_lines
from whence.retraining.converged import Converged
from whence.retraining.leave_out import leave_out
from whence.solvers.dense import Dense
from whence.studies.reopened import Reopened
from whence.studies.study import Progress, Report, Settings, Study
from whence.tasks import Regression

CORRECTED = "leverage-corrected"
METHODS: dict[str, AbstractAttributor] = {
    CORRECTED: ApproximateLeaveOneOut(Dense(), damping=0.0),
    "influence": InfluenceFunction(Dense(), damping=0.0),
}
OUTLIER, LEVERAGE, INFLUENTIAL = 3.0, 3.0, 1.0
RULES = (
    "Rules: outlier if |externally studentised residual| > 3; high leverage if h > 3 p/n (p = 2 parameters, n = 21 "
    "points); influential if Cook's distance > 1 (Cook and Weisberg 1982)."
)
Vector = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Fit:
    """Ordinary least squares: slope and intercept [2] in the module's order, and the task at that fit."""

    data: Examples
    beta: Vector
    task: Regression


def run(run: RunFolder, settings: Settings) -> Report:
    """Fit, predict each removal, compare with the real fit, and judge the three points."""
    progress, report = Progress("line"), Report("line")
    everything, special = line(settings.seed)
    progress.say("four least-squares fits")
    base = fit(everything[: -len(special)])
    fits = {name: fit(everything.select([*base.data.ids, name])) for name in special}
    progress.say("three removals, predicted and refitted")
    rows = [row for name, whole in fits.items() for row in compare(name, whole, base, everything)]
    errors = pd.DataFrame(rows)
    report.tables["the three points"] = pd.DataFrame([_judge(name, fits[name], base) for name in special])
    report.tables["removal: distance from the real fits"] = errors
    worst = errors.groupby("by", sort=False)[["parameter error", "loss error"]].max()
    corrected, first = (worst.loc[by] for by in ("leverage-corrected influence", "influence"))
    report.facts |= {
        f"largest_{name.replace(' ', '_')}_of_corrected_influence": value for name, value in corrected.items()
    }
    report.sentences += [
        f"Leverage-corrected influence equals the real refits to {corrected['parameter error']:.1e} in the parameters "
        f"and {corrected['loss error']:.1e} in the loss of the {len(everything)} queries (largest absolute "
        f"difference); first-order influence is off by up to {first['parameter error']:.2g} and "
        f"{first['loss error']:.2g}.",
        "Cook's distance and DFFITS are worked out from the leverage-corrected change of the parameters.",
        RULES,
    ]
    places = {name: _columns(everything.select([name])) for name in special}
    points = {name: (float(x[0]), float(y[0])) for name, (x, y) in places.items()}
    lines = {name: (float(one.beta[1]), float(one.beta[0])) for name, one in {"base": base, **fits}.items()}
    report.add_figure(run, "regression-lines", regression_lines(*_columns(base.data), points, lines))
    _show(run, everything, progress)
    progress.say("done")
    return report


def reopen(run: RunFolder, settings: Settings) -> Reopened:
    """The fit of all points, which is what a page shows."""
    whole = fit(line(settings.seed)[0])
    return Reopened(whole.task, whole.data, whole.data, refit_for(0.0))


def _show(run: RunFolder, everything: Examples, progress: Progress) -> None:
    """For a page: one fit of all points, the effect of each on each by two predictions, and by real refits."""
    progress.say("the fit of all points, each left out")
    whole = fit(everything)
    for name, method in METHODS.items():
        run.save(name, method.fit(whole.task, everything).attribute(everything))
    run.save("truth", leave_out(whole.task, everything, everything, everything.ids, Converged(tolerance=1e-10)))
    corrected = METHODS[CORRECTED].fit(whole.task, everything)
    choices = Choices("A regression line", ("input",), corrected.self_influence, "study", 0.0)
    exhibit(run, whole.task, everything, everything, choices, progress.say)


def fit(data: Examples) -> Fit:
    """The closed-form fit, and a task whose module holds it."""
    x, y = _columns(data)
    beta: Vector = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)[0]
    module = linear_model(1, 1)
    task = Regression(module, weight_decay=0.0)
    load_vector(module, task.layout, torch.from_numpy(beta))
    return Fit(data, beta, task)


def compare(name: str, whole: Fit, base: Fit, queries: Examples) -> list[dict[str, object]]:
    """Removing ``name`` by two predictions and by the library's refit: largest distances from the real fit."""
    x, y = _columns(queries)
    before, after = ((beta[0] * x + beta[1] - y) ** 2 for beta in (whole.beta, base.beta))
    rows: list[dict[str, object]] = []
    for method in METHODS.values():
        explainer = method.fit(whole.task, whole.data)
        moved = float(np.abs(explainer.parameter_change([name]).values[0] - (base.beta - whole.beta)).max())
        lost = np.abs(explainer.attribute(queries).sel(train=name).values - (after - before))
        rows.append({"point": name, "by": method.name, "parameter error": moved, "loss error": float(lost.max())})
    truth = leave_out(whole.task, whole.data, queries, [name], Converged(tolerance=1e-10))
    lost = np.abs(truth["effect"].values[0, :, 0] - (after - before))
    rows.append({"point": name, "by": "converged refit", "loss error": float(lost.max())})
    return [{**row, "largest loss change": float(np.abs(after - before).max())} for row in rows]


def diagnostics(whole: Fit, name: str, change: Vector) -> dict[str, float]:
    """Case statistics of one point of a fit from ``change`` [2], its parameters without the point minus with it.

    With e the residual, h the leverage, p = 2 and s² = Σe²/(n − p):
    Cook's D = changeᵀ XᵀX change / (p s²); DFFITS = −x·change / (s₍ᵢ₎ √h); t = e / (s₍ᵢ₎ √(1 − h)),
    (n − p − 1) s₍ᵢ₎² = (n − p) s² − e²/(1 − h). Sources: Cook 1977; Belsley, Kuh and Welsch 1980.
    """
    x, y = _columns(whole.data)
    design = np.stack([x, np.ones_like(x)], 1)
    n, p = design.shape
    residuals = y - design @ whole.beta
    gram = design.T @ design
    at = int(whole.data.positions([name])[0])
    row, e = design[at], float(residuals[at])
    h = float(row @ np.linalg.solve(gram, row))
    variance = float(residuals @ residuals) / (n - p)
    without = np.sqrt(((n - p) * variance - e**2 / (1 - h)) / (n - p - 1))
    return {
        "residual": e,
        "studentised residual": e / (without * np.sqrt(1 - h)),
        "leverage": h,
        "leverage limit": LEVERAGE * p / n,
        "Cook's distance": float(change @ gram @ change) / (p * variance),
        "DFFITS": -float(row @ change) / (without * np.sqrt(h)),
    }


def _judge(name: str, whole: Fit, base: Fit) -> dict[str, object]:
    explainer = ApproximateLeaveOneOut(Dense(), damping=0.0).fit(whole.task, whole.data)
    facts = diagnostics(whole, name, explainer.parameter_change([name]).values[0])
    slope, intercept = (float(value) for value in whole.beta - base.beta)
    return {
        "point": name,
        **facts,
        "slope moved by it": slope,
        "intercept moved by it": intercept,
        "outlier": abs(facts["studentised residual"]) > OUTLIER,
        "high leverage": facts["leverage"] > facts["leverage limit"],
        "influential": facts["Cook's distance"] > INFLUENTIAL,
    }


def _columns(data: Examples) -> tuple[Vector, Vector]:
    batch = data.take(slice(0, len(data)))
    return batch.inputs[:, 0].numpy(), batch.targets.numpy()


STUDY = Study("line", "a regression line: influence against refits, where both are known exactly", run, reopen=reopen)

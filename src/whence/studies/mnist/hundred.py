"""Stage ``hundred``: a network on 100 images, where the thesis found no correlation with retraining; Fig. 5.20.

As in the thesis: Adam at 0.001, ten times less after 1,000 and a hundred times less after 2,000 steps, so that the
network stops far from a minimum; retraining goes on at that rate. Beside it proximal refits there and at a minimum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.influence import InfluenceFunction
from whence.evaluation import agreement
from whence.examples import Examples
from whence.gradients import functional
from whence.models import all_cnn
from whence.objective import Objective, objective_of
from whence.plots import against, training_curves
from whence.plots.against import Versus
from whence.retraining.adam import Adam
from whence.retraining.continued import Continued
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.solvers.dense import Dense
from whence.studies.mnist.model import along_the_way
from whence.studies.mnist.place import Place, minimum, trained
from whence.studies.mnist.plan import DAMPING, WEIGHT_DECAY
from whence.studies.mnist.refits import actual_of
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section
from whence.tasks import Classification

RATE = 1e-3
DROPS = ((1000, 0.1), (2000, 0.01))
CONTINUED, CORRECTED = "continued", "proximal, leverage-corrected"
AT_MINIMUM = "at a minimum: proximal, leverage-corrected"
COLUMNS = ["comparison", "query", "damping", "n", "pearson", "pearson_low", "pearson_high", "spearman"]


def work(context: Context) -> Outcome:
    run, model, progress = context.run, context.model, context.progress
    count, steps, further, refits = model.plan.hundred
    train = model.train[np.arange(count)]
    recipe = Adam(steps, batch_size=500, learning_rate=RATE, drops=DROPS)
    here = trained(context, train, recipe)
    removed = train.ids[np.sort(np.random.default_rng(model.settings.seed).choice(count, refits, replace=False))]
    progress.say(f"{len(removed)} refits of the network on {count} images, {further:,} steps each")
    rate = RATE * DROPS[-1][1]
    going_on = Continued(recipe.for_steps(further, rate), here.moments, precision="float32")
    name = f"refits-hundred-{further}"
    drifting = leave_out(here.task, train, model.asked, removed, going_on, mapper=model.mapper, shelf=run.shelf(name))
    drift = _drift(context, name, here, train)
    proximal = _proximal(context, here, train, removed)
    lowest = minimum(context, here, train)
    at_minimum = _proximal(context, lowest, train, removed)
    first, corrected = _scores(here, train, model.asked)
    first_there, corrected_there = _scores(lowest, train, model.asked)
    compared = [
        (CONTINUED, first, drifting),
        ("proximal", first, proximal),
        (CORRECTED, corrected, proximal),
        ("at a minimum: proximal", first_there, at_minimum),
        (AT_MINIMUM, corrected_there, at_minimum),
    ]
    table = pd.concat(
        [
            agreement(scores, truth).assign(comparison=name, damping=scores.attrs["damping"])
            for name, scores, truth in compared
        ],
        ignore_index=True,
    )[COLUMNS]
    return Outcome([_section(context, (here, lowest), compared, table, drift)], {"hundred": table.to_dict("records")})


def _proximal(context: Context, place: Place, train: Examples, removed: Any) -> xr.Dataset:
    refit = Proximal(place.damping, curvature=place.hessian, tolerance=1e-4)
    shelf = context.run.shelf(f"refits-hundred-{place.hessian.checkpoint}-{place.damping:.3g}")
    return leave_out(place.task, train, context.model.asked, removed, refit, mapper=context.model.mapper, shelf=shelf)


def _scores(place: Place, train: Examples, asked: Examples) -> tuple[xr.DataArray, xr.DataArray]:
    first = InfluenceFunction(Dense(), place.damping, place.hessian).fit(place.task, train).attribute(asked)
    corrected = ApproximateLeaveOneOut(Dense(), place.damping, place.hessian).fit(place.task, train).attribute(asked)
    return first, corrected


def _drift(context: Context, shelf: str, here: Place, train: Examples) -> Any:
    """What the further steps do to each test image's loss with nothing left out [query]."""
    objective: Objective = objective_of(here.task, train, torch.float64)
    control = torch.from_numpy(np.array(context.run.shelf(shelf).get("control|0")["theta"])).double()
    asked = context.model.asked
    after, before = (functional.evaluate(objective.task, t, asked) for t in (control, objective.theta))
    return (after - before).numpy()


def _section(
    context: Context,
    places: tuple[Place, Place],
    compared: list[tuple[str, xr.DataArray, xr.Dataset]],
    table: pd.DataFrame,
    drift: Any,
) -> Section:
    here, lowest = places
    subject = context.model.subjects[0]
    panels = []
    for name, scores, truth in compared:
        if name not in (CONTINUED, CORRECTED, AT_MINIMUM):
            continue
        actual = actual_of(truth, scores, subject.id, truth["removed"].values)
        row = table[(table["comparison"] == name) & (table["query"] == subject.id)].iloc[0]
        note = f"r = {row['pearson']:+.3f} [{row['pearson_low']:+.3f}, {row['pearson_high']:+.3f}]"
        panels.append(Versus(actual, scores.sel(query=subject.id, train=truth["removed"].values), name, note))
    figures = (context.figure("hundred-loss", _curve(context)), context.figure("hundred-agreement", against(panels)))
    effects = compared[0][2]["effect"].isel(query=0).mean("seed").values
    words = (
        f"Where training stopped the gradient norm is {here.gradient_norm:.2g} and the Hessian reaches from "
        f"{here.lambda_min:.2g} to {here.lambda_max:.3g}"
        + (
            f": damping {DAMPING:g} leaves it indefinite and influence undefined; {here.damping:.2g} is used."
            if here.lambda_min < -DAMPING
            else f"; damping {DAMPING:g} makes it positive definite."
        ),
        f"The further steps alone change the loss of the {subject.name} by {drift[0]:+.2g}; leaving one image out adds "
        f"{np.median(np.abs(effects)):.1g} (median size). Every refit sees the same batches here, so this drift is the "
        "same for all of them and changes no correlation; with batches drawn anew for each refit it would not be.",
        _verdict(table),
        f"A Newton descent ends at a gradient norm of {lowest.gradient_norm:.1e}, eigenvalues from "
        f"{lowest.lambda_min:.2g} to {lowest.lambda_max:.3g}; there damping {lowest.damping:.2g} is used.",
        *[
            f"{row['comparison']}, image {row['query']}: r = {row['pearson']:+.3f} "
            f"[{row['pearson_low']:+.3f}, {row['pearson_high']:+.3f}], n = {row['n']}."
            for _, row in table.iterrows()
        ],
    )
    return Section(
        "Figure 5.20",
        "A network on a hundred images, where the thesis found no correlation",
        words,
        {"hundred images": table},
        figures,
        "The loss seemed to converge around 0.5; predicted and actual influence did not correlate.",
        "5 Results",
    )


def _verdict(table: pd.DataFrame) -> str:
    """Whether the thesis' failure is repeated, by the intervals of its own comparison."""
    rows = table[table["comparison"] == CONTINUED]
    found = ", ".join(f"{r:+.3f}" for r in rows["pearson"])
    if bool((rows["pearson_low"] > 0).all()):
        return f"With continued retraining the correlations are {found}: the thesis' failure is not repeated here."
    return f"With continued retraining the correlations are {found}: not told apart from 0 for every image, as there."


def _curve(context: Context) -> Any:
    count, steps, *_ = context.model.plan.hundred
    train = context.model.train[np.arange(count)]
    objective = objective_of(Classification(all_cnn(context.settings.seed), weight_decay=WEIGHT_DECAY), train)
    curve = along_the_way(objective, context.run.shelf(f"hundred-{steps}"))
    return training_curves({f"{count} images": curve}, axis_labels=("step", "objective"))

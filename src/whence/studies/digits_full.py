"""The other kinds of truth on digits, whatever they say: smaller damping, converged, continued, and from scratch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.influence import InfluenceFunction
from whence.evaluation import agreement, choose_removals, summary
from whence.execution import RunFolder
from whence.models import small_all_cnn
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.retraining.continued import Continued
from whence.retraining.converged import Converged
from whence.retraining.from_scratch import FromScratch
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit
from whence.solvers.dense import Dense
from whence.solvers.eigen import Eigen
from whence.studies.digits_model import WEIGHT_DECAY, DigitsModel, dense_hessian, mapper_for
from whence.studies.study import Progress, Report, Settings
from whence.tasks import Classification

SMALLER_DAMPINGS = (0.02, 0.01)
CONTINUED_STEPS = 600
CONTINUED_RATE = 1e-4


def extend(
    run: RunFolder,
    settings: Settings,
    model: DigitsModel,
    scores: dict[str, xr.DataArray],
    report: Report,
    progress: Progress,
) -> None:
    """Add one table with a row a (truth, method, sample) and sentences on the minimum that was reached."""
    plan = choose_removals(scores["influence"], 20, 40, settings.seed)
    few = choose_removals(scores["influence"], 4, 20, settings.seed)
    least = choose_removals(scores["influence"], 1, 4, settings.seed)
    tables: list[pd.DataFrame] = []
    for damping in SMALLER_DAMPINGS:
        truth = _truth(run, settings, model, plan, Proximal(damping, curvature=model.hessian), (0,), progress)
        found = [_fitted(method, model) for method in _pair(damping, Dense(), model.hessian)]
        tables.append(_judged(found, truth, f"proximal, damping {damping:g}"))
    own = [scores["influence"], scores["leverage-corrected"]]
    going_on = Continued(model.recipe.for_steps(CONTINUED_STEPS, CONTINUED_RATE), model.moments)
    truth = _truth(run, settings, model, few, going_on, (0, 1), progress)
    tables.append(_judged(own, truth, f"continued, {CONTINUED_STEPS} steps"))
    truth = _truth(run, settings, model, least, FromScratch(model.recipe, small_all_cnn), (0, 1), progress)
    tables.append(_judged(own, truth, "from scratch"))
    tables.append(_at_minimum(run, settings, model, plan, report, progress))
    report.tables["other kinds of truth"] = pd.concat(tables, ignore_index=True)


def _at_minimum(
    run: RunFolder, settings: Settings, model: DigitsModel, plan: xr.DataArray, report: Report, progress: Progress
) -> pd.DataFrame:
    """Train on to a certified minimum, and compare undamped influence there with converged refits."""
    shelf = run.shelf("minimum")
    objective = objective_of(model.task, model.train, torch.float64)
    if "theta" not in shelf.done():
        progress.say("down the valley to a certified minimum (Gauss-Newton L-BFGS, float64)")
        trained = Newton(tolerance=1e-8).train(objective)
        numbers = {"evaluations": np.array(trained.evaluations), "gradient_norm": np.array(trained.gradient_norm)}
        shelf.put("theta", {"theta": trained.theta.numpy(), **numbers})
    kept = shelf.get("theta")
    module = small_all_cnn(settings.seed).double()
    load_vector(module, model.task.layout, torch.from_numpy(np.array(kept["theta"])))
    there = replace(model, task=Classification(module, weight_decay=WEIGHT_DECAY), moments={})
    matrix = dense_hessian(shelf, "hessian", there.objective, progress)
    values = torch.linalg.eigvalsh(matrix.values)
    truth = _truth(run, settings, there, plan, Converged(curvature=matrix), (0,), progress)
    found = [_fitted(method, there) for method in _pair(0.0, Eigen(flat=1e-10), matrix)]
    moved = float(np.linalg.norm(np.asarray(kept["theta"]) - objective.theta.numpy()))
    facts: dict[str, Any] = {
        "minimum_gradient_norm": float(kept["gradient_norm"]),
        "minimum_evaluations": float(kept["evaluations"]),
        "minimum_distance_from_checkpoint": moved,
        "minimum_smallest_eigenvalues": values[:4].tolist(),
        "minimum_lambda_max": float(values[-1]),
    }
    report.facts |= facts
    report.sentences.append(
        f"A minimum with gradient norm {facts['minimum_gradient_norm']:.1e} lies {moved:.3g} from the checkpoint and "
        f"took {facts['minimum_evaluations']:g} full gradients; smallest eigenvalues "
        f"{', '.join(f'{value:.1e}' for value in facts['minimum_smallest_eigenvalues'])} (one is the shift of all "
        f"output biases), largest {facts['minimum_lambda_max']:.3g}. Converged refits move by "
        f"{float(truth['distance'].median()):.3g} (median), far along the nearly flat directions, where the loss is no "
        "longer quadratic: that is what first order cannot follow."
    )
    return _judged(found, truth, "converged")


def _pair(damping: float, solver: Dense | Eigen, curvature: Any) -> list[AbstractAttributor]:
    return [InfluenceFunction(solver, damping, curvature), ApproximateLeaveOneOut(solver, damping, curvature)]


def _fitted(method: AbstractAttributor, model: DigitsModel) -> xr.DataArray:
    return method.fit(model.task, model.train).attribute(model.queries)


def _truth(
    run: RunFolder,
    settings: Settings,
    model: DigitsModel,
    plan: xr.DataArray,
    refit: AbstractRefit,
    seeds: tuple[int, ...],
    progress: Progress,
) -> xr.Dataset:
    name = refit.kind if refit.damping is None else f"{refit.kind}-{refit.damping:g}"
    progress.say(f"{plan.sizes['removed']} refits x {len(seeds)} seeds: {name}")
    mapper, shelf = mapper_for(settings), run.shelf(f"more-{name}")
    removed = plan["removed"].values
    truth = leave_out(
        model.task, model.train, model.queries, removed, refit, seeds=seeds, mapper=mapper, shelf=shelf
    ).assign(chosen=plan)
    run.save(f"more-{name}", truth)
    return truth


def _judged(found: list[xr.DataArray], truth: xr.Dataset, name: str) -> pd.DataFrame:
    table = summary(pd.concat([agreement(array, truth) for array in found], ignore_index=True))
    table.insert(0, "truth", name)
    table["distance_median"] = float(truth["distance"].median())
    table["gradients_median"] = float(truth["evaluations"].median())
    columns = ["truth", "method", "sample", "queries", "n", "median_pearson", "median_pearson_low"]
    columns += ["median_pearson_high", "min_pearson", "median_spearman", "median_within_sign_pearson"]
    return table[[*columns, "median_ceiling", "distance_median", "gradients_median", "unconverged"]]

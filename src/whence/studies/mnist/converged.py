"""Stage ``converged``: from the checkpoint down the valley to a minimum, and refits from minimum to minimum.

The descent is L-BFGS around a renewed dense Gauss-Newton factor, in float64, in pieces that are kept; that factor is
positive definite, so steps go down also where the Hessian is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.influence import InfluenceFunction
from whence.curvature.hessian import Hessian
from whence.curvature.operator import Matrix
from whence.evaluation import agreement, choose_removals
from whence.gradients import functional, tuning
from whence.models import all_cnn
from whence.objective import Objective, objective_of
from whence.parameters import load_vector
from whence.plots import training_curves
from whence.retraining.converged import Converged
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton
from whence.solvers.eigen import Eigen
from whence.solvers.spectrum import extremes
from whence.studies.mnist.plan import WEIGHT_DECAY
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section
from whence.tasks import Classification

PIECE = 100
TOLERANCE = 1e-7
PRODUCTS, WITHIN = 200, 1e-6
"""For λ_min where no matrix is worked out: of Lanczos at most, and its error by λ_max."""
CHAPTER = "6 Beyond the thesis"


def work(context: Context) -> Outcome:
    model = context.model
    budget, refits = model.plan.converged
    start = objective_of(model.task, model.train, torch.float64)
    trace = descend(context, tuning.tuned(start), budget)
    theta = torch.from_numpy(trace[-1]["theta"])
    module = all_cnn(context.settings.seed).double()
    load_vector(module, model.task.layout, theta)
    task = Classification(module, weight_decay=WEIGHT_DECAY)
    there = objective_of(task, model.train)
    norm = trace[-1]["gradient_norm"]
    facts: dict[str, Any] = {
        "gradients": trace[-1]["evaluations"],
        "gradient_norm": norm,
        "objective": trace[-1]["value"],
        "objective_at_checkpoint": trace[0]["value"],
        "distance": float((theta - start.theta).norm()),
    }
    tables: dict[str, pd.DataFrame] = {}
    further: tuple[str, ...] = ()
    if norm <= Converged().stationary and refits:
        matrix = _hessian(context, task, there)
        values = torch.linalg.eigvalsh(matrix.values.double())
        facts |= {"lambda_min": float(values[0]), "lambda_max": float(values[-1]), "error of lambda_min": 0.0}
        tables["agreement with converged refits"] = _judged(context, task, matrix, refits)
    else:
        seen = extremes(Hessian(tuning.tuned(there)), PRODUCTS, smallest_within=WITHIN)
        facts |= {"lambda_min": seen.lambda_min, "lambda_max": seen.lambda_max, "error of lambda_min": seen.error_min}
        further = (_without_refits(norm),)
    error = facts["error of lambda_min"]
    words = (
        f"After {facts['gradients']:g} full gradients: gradient norm {norm:.1e}, objective {facts['objective']:.5f} "
        f"({facts['objective_at_checkpoint']:.5f} at the checkpoint), {facts['distance']:.3g} from the checkpoint; "
        f"Hessian from {facts['lambda_min']:.2g}{f' (by Lanczos, ± {error:.1g})' if error else ''} to "
        f"{facts['lambda_max']:.3g}.",
        *further,
    )
    steps = np.array([row["evaluations"] for row in trace])
    curve = {"gradient norm": (steps, np.array([row["gradient_norm"] for row in trace]))}
    figure = context.figure("descent", training_curves(curve, axis_labels=("full gradients", "gradient norm")))
    return Outcome(
        [Section("", "Down the valley to a minimum", words, tables, (figure,), chapter=CHAPTER)],
        {"converged": facts},
    )


def _without_refits(norm: float) -> str:
    enough = Converged().stationary
    if norm <= enough:
        return "Converged refits are not part of this effort."
    return (
        f"That is no minimum yet (a gradient norm of {enough:g} would pass), so no converged refit is made: it would "
        "mix the removal with the training that is left to do. Proximal truth needs none."
    )


def _hessian(context: Context, task: Classification, there: Objective) -> Matrix:
    """The dense Hessian where the descent ended, from the run folder if it is there."""
    model, shelf = context.model, context.run.shelf("curvature")
    key = f"hessian at {there.checkpoint}"
    if key not in shelf.done():
        context.progress.say("the dense Hessian where the descent ended")
        single = objective_of(task, model.train, torch.float32)
        shelf.put(key, {"matrix": Hessian(tuning.tuned(single)).dense(model.mapper).numpy()})
    return Matrix(torch.from_numpy(np.array(shelf.get(key)["matrix"])), there.checkpoint)


def descend(context: Context, start: Objective, budget: int) -> list[dict[str, Any]]:
    """Where the descent stood after each piece, the last one at its end; kept pieces are not repeated."""
    shelf = context.run.shelf("descent")
    here = functional.evaluate_objective(start, start.theta)
    trace = [_row(start.theta, here.value, float(here.gradient.norm()), 0.0)]
    piece = min(PIECE, max(budget, 1))
    while trace[-1]["gradient_norm"] > TOLERANCE and trace[-1]["evaluations"] < budget:
        key = f"piece {len(trace)} of {piece}"
        if key not in shelf.done():
            objective = replace(start, theta=torch.from_numpy(np.array(trace[-1]["theta"])))
            found = Newton(tolerance=TOLERANCE, max_evaluations=piece).train(objective)
            value = functional.evaluate_objective(start, found.theta).value
            numbers = {"value": np.array(value), "gradient_norm": np.array(found.gradient_norm)}
            if torch.equal(found.theta, objective.theta):
                break  # no step goes down any more
            spent = np.array(trace[-1]["evaluations"] + found.evaluations)
            shelf.put(key, {"theta": found.theta.numpy(), "evaluations": spent, **numbers})
            context.progress.say(f"{float(spent):g} full gradients: gradient norm {found.gradient_norm:.2g}")
        kept = shelf.get(key)
        numbers = {name: np.array(kept[name]) for name in ("value", "gradient_norm", "evaluations")}
        trace.append(
            _row(
                torch.from_numpy(np.array(kept["theta"])),
                float(numbers["value"]),
                float(numbers["gradient_norm"]),
                float(numbers["evaluations"]),
            )
        )
    return trace


def _row(theta: torch.Tensor, value: float, norm: float, evaluations: float) -> dict[str, Any]:
    return {"theta": theta.numpy(), "value": value, "gradient_norm": norm, "evaluations": evaluations}


def _judged(context: Context, task: Classification, matrix: Matrix, refits: int) -> pd.DataFrame:
    """Undamped influence at the minimum against converged refits of the subjects' most influential and random ones."""
    model = context.model
    eigen = Eigen(flat=1e-7)
    methods = (InfluenceFunction(eigen, 0.0, matrix), ApproximateLeaveOneOut(eigen, 0.0, matrix))
    found: list[xr.DataArray] = [method.fit(task, model.train).attribute(model.asked) for method in methods]
    plan = choose_removals(found[0], refits // 3, refits // 3, context.settings.seed, sides=True)
    context.progress.say(f"{plan.sizes['removed']} converged refits")
    refit = Converged(curvature=matrix)
    shelf = context.run.shelf(f"refits-converged-{matrix.checkpoint}")
    removed = plan["removed"].values
    truth = leave_out(task, model.train, model.asked, removed, refit, mapper=model.mapper, shelf=shelf)
    truth = truth.assign(chosen=plan)
    context.run.save("truth-converged", truth)
    table = pd.concat([agreement(array, truth) for array in found], ignore_index=True)
    table["distance"] = float(truth["distance"].median())
    return table

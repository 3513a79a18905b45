"""Points that influence is asked at on a hundred images: where the thesis' training stops, and a minimum below it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from whence.curvature.hessian import Hessian
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.gradients import functional
from whence.models import all_cnn
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.retraining.adam import Adam
from whence.retraining.newton import Newton
from whence.retraining.pieces import train_in_pieces
from whence.studies.mnist.plan import DAMPING, WEIGHT_DECAY
from whence.studies.mnist.stage import Context
from whence.tasks import Classification

PIECES = 20


@dataclass(frozen=True)
class Place:
    """A point that influence is asked at: the model there, its dense Hessian, and what is known of it."""

    name: str
    task: Classification
    hessian: Matrix
    lambda_min: float
    lambda_max: float
    gradient_norm: float
    moments: dict[str, torch.Tensor]

    @property
    def damping(self) -> float:
        """The thesis' 0.01 where that makes the Hessian positive definite; else half as much again as it takes."""
        return max(DAMPING, -1.5 * self.lambda_min)


def trained(context: Context, train: Examples, recipe: Adam) -> Place:
    settings = context.settings
    module = all_cnn(settings.seed)
    task = Classification(module, weight_decay=WEIGHT_DECAY)
    shelf = context.run.shelf(f"hundred-{recipe.steps}")
    size = max(1, recipe.steps // PIECES)
    found = train_in_pieces(recipe, objective_of(task, train), settings.seed, shelf, size)
    load_vector(module, task.layout, found.theta)
    return _place(context, "where training stopped", task, train, dict(found.state))


def minimum(context: Context, here: Place, train: Examples) -> Place:
    """From there down to a minimum, by Newton steps."""
    shelf, objective = context.run.shelf("hundred-minimum"), objective_of(here.task, train, torch.float64)
    if objective.checkpoint not in shelf.done():
        context.progress.say("down to a minimum on the hundred images")
        budget = 3000 if context.settings.size != "tiny" else 60
        found = Newton(tolerance=1e-7, max_evaluations=budget).train(objective)
        shelf.put(objective.checkpoint, {"theta": found.theta.numpy()})
    theta = torch.from_numpy(np.array(shelf.get(objective.checkpoint)["theta"]))
    module = all_cnn(0).double()
    load_vector(module, here.task.layout, theta)
    return _place(context, "at a minimum", Classification(module, weight_decay=WEIGHT_DECAY), train, {})


def _place(context: Context, name: str, task: Classification, train: Examples, moments: dict[str, Any]) -> Place:
    objective = objective_of(task, train, torch.float64)
    matrix = Hessian(replace(objective, batch_size=objective.count)).dense(context.model.mapper)
    values = torch.linalg.eigvalsh(matrix)
    norm = float(functional.evaluate_objective(objective, objective.theta).gradient.norm())
    hessian = Matrix(matrix, objective.checkpoint)
    return Place(name, task, hessian, float(values[0]), float(values[-1]), norm, moments)

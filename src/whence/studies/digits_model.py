"""The digits study's model and data: trained once, kept in the run folder, and bound to the queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.hessian import Hessian
from whence.curvature.operator import Matrix
from whence.datasets import digits
from whence.display import shown
from whence.examples import Examples
from whence.execution import JoblibMapper, RunFolder
from whence.execution.shelf import Shelf
from whence.gradients import functional
from whence.mapping import AbstractMapper, SerialMapper
from whence.models import small_all_cnn
from whence.objective import Objective, objective_of
from whence.parameters import load_vector, save_checkpoint
from whence.retraining.adam import Adam
from whence.studies.study import Progress, Settings, Size
from whence.tasks import Classification

WEIGHT_DECAY = 1e-3


@dataclass(frozen=True)
class Scale:
    """How large the study is: training images, Adam steps, and removals of each sample."""

    train: int
    steps: int
    most: int
    random: int


SCALES: dict[Size, Scale] = {
    "tiny": Scale(300, 600, 10, 10),
    "standard": Scale(1200, 4000, 100, 100),
    "full": Scale(1200, 4000, 100, 100),
}


@dataclass(frozen=True)
class DigitsModel:
    """A trained network with its data: ``task`` at its checkpoint, Adam's moments there, the Hessian, the queries.

    ``wrong``: which queries [query] the model gets wrong; the others are correct ones, as many, drawn by the seed.
    """

    task: Classification
    train: Examples
    queries: Examples
    wrong: npt.NDArray[np.bool_]
    recipe: Adam
    moments: dict[str, Tensor]
    hessian: Matrix
    accuracy: float

    @property
    def objective(self) -> Objective:
        return objective_of(self.task, self.train)


def prepare(run: RunFolder, settings: Settings, progress: Progress) -> DigitsModel:
    """Train (or read) the network, choose the queries, work out (or read) the dense Hessian."""
    scale = SCALES[settings.size]
    train, test = digits(scale.train, settings.seed)
    shelf = run.shelf("model")
    module = small_all_cnn(settings.seed)
    task = Classification(module, weight_decay=WEIGHT_DECAY)
    recipe = Adam(scale.steps, batch_size=100, learning_rate=1e-2, schedule="one-cycle")
    if "trained" not in shelf.done():
        progress.say(f"training {task.layout.size} parameters on {len(train)} digits, {scale.steps} Adam steps")
        trained = recipe.train(objective_of(task, train), seed=settings.seed)
        shelf.put("trained", {"theta": trained.theta.numpy(), **{k: v.numpy() for k, v in trained.state.items()}})
    kept = shelf.get("trained")
    load_vector(module, task.layout, torch.from_numpy(np.array(kept["theta"])))
    save_checkpoint(module, run.folder / "model.safetensors")
    objective = objective_of(task, train)
    queries, wrong, accuracy = _queries(objective, test, settings.seed)
    moments = {name: torch.from_numpy(np.array(kept[name])) for name in ("first", "second", "step")}
    matrix = dense_hessian(shelf, "hessian", objective, progress)
    return DigitsModel(task, train, queries, wrong, recipe, moments, matrix, accuracy)


def dense_hessian(shelf: Shelf, key: str, objective: Objective, progress: Progress) -> Matrix:
    """The Hessian of the objective as a matrix, in the objective's precision, from the shelf if it is there."""
    if key not in shelf.done():
        progress.say(f"the dense Hessian ({len(objective.theta)} products)")
        shelf.put(key, {"matrix": Hessian(replace(objective, batch_size=objective.count)).dense().numpy()})
    return Matrix(torch.from_numpy(np.array(shelf.get(key)["matrix"])), objective.checkpoint)


def mapper_for(settings: Settings) -> AbstractMapper:
    """Processes if more than one is asked for."""
    return JoblibMapper(settings.jobs) if settings.jobs > 1 else SerialMapper()


def picture_of(examples: Examples) -> Callable[[object], npt.NDArray[np.float32]]:
    """From an id to its image [height, width]."""

    def picture(identity: object) -> npt.NDArray[np.float32]:
        image: npt.NDArray[np.float32] = shown(examples, identity).value
        return image

    return picture


def _queries(objective: Objective, test: Examples, seed: int) -> tuple[Examples, npt.NDArray[np.bool_], float]:
    output = functional.outputs(objective.task, objective.theta, test)
    wrong = (output.argmax(1) != test.targets()).numpy()
    mistakes = np.flatnonzero(wrong)
    correct = np.random.default_rng(seed).choice(np.flatnonzero(~wrong), max(len(mistakes), 4), replace=False)
    positions = np.concatenate([mistakes, np.sort(correct)])
    return test[positions], wrong[positions], float(1 - wrong.mean())

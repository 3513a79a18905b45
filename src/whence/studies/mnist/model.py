"""The trained network of the study, its data, and the test images that are asked about."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.hessian import Hessian
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.execution import JoblibMapper, RunFolder
from whence.execution.shelf import Shelf
from whence.gradients import functional, tuning
from whence.mapping import AbstractMapper, SerialMapper
from whence.models import AllCNN, all_cnn
from whence.objective import Objective, objective_of
from whence.parameters import load_vector, save_checkpoint
from whence.retraining.pieces import checkpoints, train_in_pieces
from whence.studies.mnist import data
from whence.studies.mnist.plan import CLASS, SUBJECT, WEIGHT_DECAY, Plan, plan_of
from whence.studies.study import Progress, Settings
from whence.tasks import Classification

PIECE = 1000


@dataclass(frozen=True)
class Subject:
    """A test image that the study asks about: its id, its name in tables, and the thesis' column that it repeats."""

    id: int
    name: str
    column: int | None

    def numbered(self, first: str, second: str) -> str:
        """The thesis' figure that it repeats: that of the first column or of the second, or none."""
        return "" if self.column is None else (first, second)[self.column]


@dataclass(frozen=True)
class MnistModel:
    """``task`` at its checkpoint with Adam's moments there; ``subjects`` and ``others`` are asked about.

    ``queries``: the subjects, then the others (mistakes and as many correct images), as examples.
    """

    settings: Settings
    plan: Plan
    task: Classification
    train: Examples
    test: Examples
    moments: dict[str, Tensor]
    subjects: tuple[Subject, ...]
    queries: Examples
    accuracy: float

    @property
    def module(self) -> AllCNN:
        module = self.task.module
        if not isinstance(module, AllCNN):
            raise TypeError(f"the study's network is an AllCNN, not {type(module).__name__}")
        return module

    @property
    def objective(self) -> Objective:
        return objective_of(self.task, self.train)

    @property
    def asked(self) -> Examples:
        """The subjects alone, as examples."""
        return self.test.select([subject.id for subject in self.subjects])

    @property
    def mapper(self) -> AbstractMapper:
        jobs = self.settings.jobs
        return JoblibMapper(jobs) if jobs > 1 else SerialMapper()


def prepare(run: RunFolder, settings: Settings, progress: Progress) -> MnistModel:
    """Read the images; train the network, or go on with it, or read it; choose who is asked about."""
    plan = plan_of(settings)
    train, test = data.load(settings, plan)
    module = all_cnn(settings.seed)
    task = Classification(module, weight_decay=WEIGHT_DECAY)
    objective = objective_of(for_long_training(task, settings), train)
    trained = train_in_pieces(plan.recipe, objective, settings.seed, run.shelf("training"), PIECE, progress.say)
    theta = trained.theta.cpu()
    load_vector(module, task.layout, theta)
    save_checkpoint(module, run.folder / "model.safetensors")
    output = functional.outputs(task, theta, test)
    wrong = (output.argmax(1) != test.targets()).numpy()
    subjects = _subjects(test, output, wrong, settings.seed)
    others = _others(test, wrong, plan.others, {subject.id for subject in subjects}, settings.seed)
    queries = test.select([subject.id for subject in subjects] + others)
    moments = {name: value.cpu() for name, value in trained.state.items()}
    return MnistModel(settings, plan, task, train, test, moments, subjects, queries, float(1 - wrong.mean()))


def for_long_training(task: Classification, settings: Settings) -> Classification:
    """The task on a GPU if the effort is faithful and there is one; else as it is."""
    if settings.effort != "faithful" or not torch.cuda.is_available():
        return task
    return Classification(copy.deepcopy(task.module).to("cuda"), weight_decay=WEIGHT_DECAY)


def along_the_way(objective: Objective, shelf: Shelf) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The steps at which a training's checkpoints are kept, and the objective there."""
    kept = checkpoints(shelf)
    values = [functional.evaluate_objective(objective, theta).value for theta in kept.values()]
    return np.array(list(kept)), np.array(values)


def dense_hessian(run: RunFolder, model: MnistModel, progress: Progress) -> Matrix:
    """The Hessian of the objective as a matrix, in float32, from the run folder if it is there."""
    shelf, objective = run.shelf("curvature"), tuning.tuned(model.objective)
    if "hessian" not in shelf.done():
        progress.say(f"the dense Hessian of {objective.theta.numel()} parameters over {objective.count} images")
        shelf.put("hessian", {"matrix": Hessian(objective).dense(model.mapper).numpy()})
    return Matrix(torch.from_numpy(np.array(shelf.get("hessian")["matrix"])), objective.checkpoint)


def _subjects(test: Examples, output: Tensor, wrong: npt.NDArray[np.bool_], seed: int) -> tuple[Subject, ...]:
    """Koh and Liang's image; if this network gets it right, the most confidently wrong 6 too; and a correct 6."""
    place = int(test.positions([SUBJECT])[0])
    six = test.targets().numpy() == CLASS
    found = [Subject(SUBJECT, "incorrectly classified 6" if wrong[place] else f"image {SUBJECT}, here correct", 0)]
    if not wrong[place] and (six & wrong).any():
        losses = torch.nn.functional.cross_entropy(output, test.targets(), reduction="none").numpy()
        worst = int(np.argmax(np.where(six & wrong, losses, -np.inf)))
        found.append(Subject(int(test.ids[worst]), "incorrectly classified 6", None))
    right = np.flatnonzero(six & ~wrong & (test.ids != SUBJECT))
    chosen = int(np.random.default_rng(seed).choice(right))
    return (*found, Subject(int(test.ids[chosen]), "correctly classified 6", 1))


def _others(test: Examples, wrong: npt.NDArray[np.bool_], count: int, taken: set[int], seed: int) -> list[int]:
    """Ids of ``count`` further queries, half of them mistakes where there are as many, drawn by the seed."""
    generator = np.random.default_rng([seed, 1])
    free = ~np.isin(test.ids, list(taken))
    found: list[int] = []
    for mask in (wrong & free, ~wrong & free):
        positions = np.flatnonzero(mask)
        chosen = generator.choice(positions, min(count // 2, len(positions)), replace=False)
        found += [int(identity) for identity in test.ids[np.sort(chosen)]]
    return found

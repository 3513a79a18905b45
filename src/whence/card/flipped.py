"""Wrong labels for a card: known ones, or some changed on purpose and a model of the same kind trained on them.

The model that is trained starts from parameters drawn anew, so that it knows nothing of the true labels, and goes by
Adam on the task's own objective; the user's recipe is not known here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from whence.card.plan import Plan
from whence.datasets.mislabelled import mislabel
from whence.examples import Examples
from whence.execution.store import RunFolder
from whence.gradients import functional
from whence.models.reinitialised import reinitialised
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.results import ResultError
from whence.retraining.adam import Adam
from whence.task import AbstractTask
from whence.tasks import Classification

RATE = 3e-3


@dataclass(frozen=True)
class Wrong:
    """A model trained on ``examples``, of which ``flipped`` [train] are wrong, and ``words`` on how that came about.

    ``losses``: the training loss [train]; ``probabilities`` [train, class], out of sample, None if not worked out.
    """

    task: AbstractTask
    examples: Examples
    flipped: xr.DataArray
    losses: xr.DataArray
    probabilities: xr.DataArray | None
    words: str


def wrong_labels(
    run: RunFolder,
    task: AbstractTask,
    train: Examples,
    known: Collection[Any],
    plan: Plan,
    cross_validate: bool,
    say: Callable[[str], None],
) -> Wrong | str:
    """The subject of mislabel detection, or why there is none. ``known``: ids whose labels are known to be wrong."""
    if not isinstance(task, Classification):
        return "a label can only be wrong in a classification"
    if known:
        marks = np.isin(train.ids, np.array(list(known)))
        attrs = {"chosen": f"{int(marks.sum())} of {len(train)} labels, known to be wrong"}
        flipped = xr.DataArray(marks, dims=("train",), coords={"train": train.ids}, attrs=attrs)
        judged: AbstractTask = task
        examples, words = train, "The model as it is, with labels that are known to be wrong."
    else:
        made = mislabel(train, plan.share, plan.seed)
        examples, flipped = made.examples, made.flipped
        judged = _trained(run, "flipped", task, examples, plan, say)
        remembered = _accuracy(judged, examples[~flipped.values])
        restored = _accuracy(judged, train[flipped.values])
        words = (
            f"{made.flipped.attrs['chosen']}, changed on purpose; a model with parameters drawn anew was trained on "
            f"them by {plan.steps} Adam steps. It gets {remembered:.1%} of the unchanged labels right, and says the "
            f"true class of {restored:.1%} of the changed ones."
        )
    losses = functional.evaluate(judged, judged.parameters(), examples).double().cpu().numpy()
    probabilities = _out_of_sample(run, task, examples, plan, say) if cross_validate else None
    named = xr.DataArray(losses, dims=("train",), coords={"train": examples.ids})
    return Wrong(judged, examples, flipped, named, probabilities, words)


def _out_of_sample(
    run: RunFolder, task: AbstractTask, examples: Examples, plan: Plan, say: Callable[[str], None]
) -> xr.DataArray:
    """Class probabilities of each example by a model that has not seen it, as cleanlab asks for."""
    fold = np.random.default_rng(plan.seed).permutation(len(examples)) % plan.folds
    found: Tensor | None = None
    for number in range(plan.folds):
        judged = _trained(run, f"fold {number}", task, examples[fold != number], plan, say)
        output = functional.outputs(judged, judged.parameters(), examples[fold == number]).double().softmax(1)
        found = torch.zeros(len(examples), output.shape[1], dtype=torch.float64) if found is None else found
        found[torch.from_numpy(fold == number)] = output.cpu()
    if found is None:
        raise ResultError("no folds: cross-validation needs two or more")
    coords = {"train": examples.ids, "train_label": ("train", examples.targets().cpu().numpy())}
    return xr.DataArray(found.numpy(), dims=("train", "class"), coords=coords)


def _trained(
    run: RunFolder, key: str, task: AbstractTask, examples: Examples, plan: Plan, say: Callable[[str], None]
) -> AbstractTask:
    """The task with parameters drawn anew and trained on these examples, from the run if it is there."""
    shelf = run.shelf("trained")
    fresh = reinitialised(task, plan.seed)
    if key not in shelf.done():
        say(f"training a model on changed labels ({key}), {plan.steps} Adam steps")
        recipe = Adam(plan.steps, min(100, len(examples)), RATE, "one-cycle")
        # parameters that are not studied keep their trained values
        start = objective_of(task, examples).at(fresh.parameters())
        shelf.put(key, {"theta": recipe.train(start, seed=plan.seed).theta.cpu().numpy()})
    twin = copy.copy(task)
    twin.module = copy.deepcopy(task.module)
    load_vector(twin.module, twin.layout, torch.from_numpy(np.array(shelf.get(key)["theta"])))
    return twin


def _accuracy(task: AbstractTask, examples: Examples) -> float:
    output = functional.outputs(task, task.parameters(), examples)
    return float((output.argmax(1).cpu() == examples.targets().cpu()).double().mean())

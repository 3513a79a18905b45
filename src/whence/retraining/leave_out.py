"""Leave-out truth: refit without examples, and measure what that does to every query.

    effect[removed, query, seed] = m_query(θ refitted without) − m_query(θ of the control of the same seed)

One refit serves all queries. Finished refits are put on a shelf, if one is given, and are not repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from whence import results
from whence.examples import Examples, as_examples
from whence.gradients import functional, tuning
from whence.gradients.labels import Collected, checked_labels
from whence.mapping import AbstractMapper, SerialMapper
from whence.objective import Objective, objective_of
from whence.retraining.jobs import Job, MemoryShelf, Shelf, work
from whence.retraining.refit import AbstractRefit
from whence.task import AbstractTask


def leave_out(
    model: AbstractTask,
    train: Any,
    queries: Any,
    remove: Sequence[Any] | npt.NDArray[Any] | Mapping[str, Sequence[Any]],
    refit: AbstractRefit,
    *,
    seeds: Sequence[int] = (0,),
    mapper: AbstractMapper | None = None,
    shelf: Shelf | None = None,
) -> xr.Dataset:
    """Truth [removed, query, seed] in the unit of the task's measurement.

    ``remove``: ids to leave out one at a time, or a dict from a name to the ids that are left out together.
    ``refit``: what "without" means: Proximal, Converged, Continued or FromScratch.
    ``shelf``: keeps each finished refit (its parameters), so that a killed run goes on where it was and further
    queries cost no refit. It must be used for one model, training set and refit only. Of refits that are done
    ``together`` a killed run loses the chunk it was at.
    Raises KeyError for an id that is not in the training set, ValueError for bad data or an empty ``remove``.
    """
    collected = Collected(model)
    objective = tuning.tuned(objective_of(model, as_examples(train), refit.dtype, collected))
    asked = as_examples(queries)
    about = checked_labels(objective, asked, "query"), collected.of(objective.train)
    names, groups, labels = _groups(objective.train, remove)
    if len(seeds) == 0 or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds are {list(seeds)}: give at least one, and each once")
    shelf, mapper = MemoryShelf({}) if shelf is None else shelf, mapper or SerialMapper()
    jobs = [Job(f"control|{seed}", None, seed) for seed in seeds] + [
        Job(f"{label}|{seed}", group, seed) for seed in seeds for label, group in zip(labels, groups, strict=True)
    ]
    work(refit, objective, jobs, shelf, mapper)

    controls = [shelf.get(f"control|{seed}") for seed in seeds]
    measured = partial(_measured, objective.task.frozen(torch.float64), objective.theta.device, asked)
    before = np.stack([measured(control["theta"]) for control in controls])
    effect = np.empty((len(names), len(asked), len(seeds)))
    statistics = {name: np.empty((len(names), len(seeds))) for name in ("gradient_norm", "evaluations", "distance")}
    converged = np.empty((len(names), len(seeds)), dtype=bool)
    for column, seed in enumerate(seeds):
        for row, label in enumerate(labels):
            piece = shelf.get(f"{label}|{seed}")
            effect[row, :, column] = measured(piece["theta"]) - before[column]
            statistics["gradient_norm"][row, column] = piece["gradient_norm"]
            statistics["evaluations"][row, column] = piece["evaluations"]
            statistics["distance"][row, column] = np.linalg.norm(piece["theta"] - controls[column]["theta"])
            converged[row, column] = bool(piece["converged"])
    member = np.zeros((len(names), objective.count), dtype=bool)
    for row, group in enumerate(groups):
        member[row, group] = True
    variables = {name: (("removed", "seed"), value) for name, value in {**statistics, "converged": converged}.items()}
    removed = np.array(names)
    attrs = _attrs(objective, refit)
    return results.truth(effect, member, removed, about, attrs, variables, np.asarray(seeds, dtype=np.int64))


def _groups(train: Examples, remove: Any) -> tuple[list[Any], list[npt.NDArray[np.int64]], list[str]]:
    """Names of the removals, the positions they take away, and what they are called on a shelf."""
    if isinstance(remove, Mapping):
        names = [str(name) for name in remove]
        if len(set(names)) != len(names):
            raise ValueError("two groups have the same name; rename one")
        groups = [np.unique(train.positions(np.atleast_1d(ids))) for ids in remove.values()]
        labels = [f"{name!r} {_digest(train.ids[group])}" for name, group in zip(names, groups, strict=True)]
    else:
        names = np.asarray(remove).tolist()
        if len(set(names)) != len(names):
            raise ValueError("an id is to be left out twice; give each once")
        groups = [train.positions([name]) for name in names]
        labels = [repr(name) for name in names]
    if not names or any(len(group) == 0 for group in groups):
        raise ValueError("nothing to leave out: give ids of training examples")
    if any(len(group) >= len(train) for group in groups):
        raise ValueError("a removal takes all training examples away; leave some in")
    return names, groups, labels


def _digest(ids: npt.NDArray[Any]) -> str:
    """A group's members, so that another group under an old name is not answered from the shelf."""
    return hashlib.sha256(repr(sorted(ids.tolist())).encode()).hexdigest()[:16]


def _measured(
    task: AbstractTask, device: torch.device, queries: Examples, theta: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """The measurement of each query in float64, whatever the refit ran in: an effect is a small difference of two."""
    point = torch.from_numpy(np.array(theta)).to(device, torch.float64)
    return functional.evaluate(task, point, queries, "measure").cpu().numpy()


def _attrs(objective: Objective, refit: AbstractRefit) -> dict[str, Any]:
    task = objective.task
    return {
        "kind": refit.kind,
        "quantity": task.quantity,
        "unit": task.measured_unit,
        "sign": results.SIGN,
        "damping": refit.damping,
        "task": task.describe(),
        "objective": task.objective,
        "checkpoint": objective.checkpoint,
        "precision": objective.precision,
        "version": version("whence"),
        "schema": results.SCHEMA,
    }

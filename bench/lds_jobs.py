"""What the linear datamodeling scores are about: the questions on digits and on MNIST, and their refits.

Refits are kept in the cache by the question, so that a killed run goes on and more subsets cost only themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from bench.peers import question as questions
from bench.peers.environments import cache
from bench.race import COUNTS
from bench.race import question as mnist_question
from bench.race_rows import say
from whence.datasets import digits
from whence.execution import JoblibMapper, RunFolder
from whence.models import all_cnn, small_all_cnn
from whence.objective import objective_of
from whence.parameters import load_checkpoint, load_vector, save_checkpoint
from whence.retraining import Adam, FromScratch, Proximal
from whence.retraining.refit import AbstractRefit
from whence.retraining.subsets import retrain_on_subsets
from whence.studies.digits import DAMPING as DIGITS_DAMPING
from whence.studies.digits_model import SCALES
from whence.studies.digits_model import WEIGHT_DECAY as DIGITS_WEIGHT_DECAY
from whence.studies.mnist.plan import DAMPING
from whence.tasks import Classification

PROCESSES, KEEP, SEEDS = 2, 0.5, (0, 1)
QUERIES = 30
SUBSETS = {"digits": 100, "mnist": 40}


@dataclass(frozen=True)
class Job:
    """A question at ``place``, whose rows lie under the ``race`` of that name.

    ``network(seed)``: the package's own; ``recipe``: its training, where refits from scratch are a truth too;
    ``runs``: whether rows that have not been run are run.
    """

    name: str
    race: str
    place: Path
    counts: tuple[int, ...]
    subsets: int
    network: Callable[[int], nn.Module]
    recipe: Adam | None = None
    runs: bool = False


def on_digits(
    subsets: int = SUBSETS["digits"],
    n: int = SCALES["standard"].train,
    steps: int = SCALES["standard"].steps,
    damping: float = DIGITS_DAMPING,
    count: int = QUERIES,
) -> Job:
    """The digits study's model, trained by its recipe with seed 0, and ``count`` test digits drawn at random."""
    train, test = digits(n, 0)
    order = np.random.default_rng(0).permutation(len(test))[:count]
    chosen, queries = train.take(slice(None)), test[order].take(slice(None))
    recipe = Adam(steps, batch_size=100, learning_rate=1e-2, schedule="one-cycle")
    net = small_all_cnn(0)
    path = cache() / f"small-all-cnn-{n}-{steps}.safetensors"
    if not path.exists():
        task = Classification(net, weight_decay=DIGITS_WEIGHT_DECAY)
        load_vector(net, task.layout, recipe.train(objective_of(task, train), seed=0).theta)
        save_checkpoint(net, path)
    load_checkpoint(net, path)
    arrays = {
        "train_inputs": np.asarray(chosen.inputs),
        "train_targets": np.asarray(chosen.targets),
        "query_inputs": np.asarray(queries.inputs),
        "query_targets": np.asarray(queries.targets),
    }
    numbers: dict[str, Any] = {"penalty": DIGITS_WEIGHT_DECAY, "damping": damping, "counts": [count], "n": n}
    numbers |= {"queries": test.ids[order].tolist(), "recipe": repr(recipe)}
    place = questions.write(cache() / "questions", ("small_all_cnn", {}), net.state_dict(), arrays, numbers)
    return Job("lds-digits", "lds-digits", place, (count,), subsets, small_all_cnn, recipe, runs=True)


def on_mnist(
    mnist: str,
    checkpoint: str | None,
    subsets: int = SUBSETS["mnist"],
    n: int = 5500,
    counts: tuple[int, ...] = COUNTS,
    damping: float = DAMPING,
) -> Job:
    """The question of job a of the race."""
    return Job("lds-mnist", "race-a", mnist_question(mnist, checkpoint, n, counts, damping), counts, subsets, all_cnn)


def truths(job: Job) -> dict[str, xr.Dataset]:
    """By name the refits on random subsets, each serving all queries; those that are kept are not done again."""
    question = questions.read(job.place)
    net = job.network(0)
    net.load_state_dict(question.state)
    task = Classification(net, weight_decay=question.penalty)
    refits: dict[str, tuple[AbstractRefit, tuple[int, ...]]] = {
        f"proximal-{question.damping:g}": (Proximal(question.damping), (0,))
    }
    if job.recipe is not None:
        refits["from-scratch"] = FromScratch(job.recipe, job.network), SEEDS
    found = {}
    with RunFolder.open(cache() / "truths" / job.place.name, {"question": job.place.name}, "lds") as kept:
        for name, (refit, seeds) in refits.items():
            say(f"{name}: {job.subsets} subsets x {len(seeds)} seeds")
            found[name] = retrain_on_subsets(
                task,
                question.train,
                question.queries,
                refit,
                count=job.subsets,
                keep=KEEP,
                seeds=seeds,
                mapper=JoblibMapper(PROCESSES),
                shelf=kept.shelf(name),
            )
    return found

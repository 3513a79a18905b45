"""A long training in pieces, each kept when it is done: a killed run goes on at the last one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from whence.objective import Objective
from whence.retraining.adam import Adam
from whence.retraining.jobs import Shelf
from whence.retraining.refit import Trained

STATE = ("first", "second", "step")
BEFORE = "after "


def train_in_pieces(
    recipe: Adam,
    objective: Objective,
    seed: int,
    shelf: Shelf,
    size: int,
    say: Callable[[str], None] = lambda text: None,
) -> Trained:
    """What ``recipe.train(objective, None, seed)`` gives, bit for bit, with a checkpoint every ``size`` steps.

    Checkpoints carry θ, Adam's state and the gradient norm there. The shelf must be used for one recipe, objective
    and seed only. Raises ValueError if ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"a piece of {size} steps: give 1 or more")
    stops = [*range(size, recipe.steps, size), recipe.steps]
    kept = shelf.done()
    reached = max((stop for stop in stops if key(stop) in kept), default=0)
    found = _read(shelf, reached) if reached else Trained(objective.theta, float("nan"), 0.0, True)
    for stop in [stop for stop in stops if stop > reached]:
        here = objective.at(found.theta.to(objective.theta))
        found = recipe.between(reached, stop).train(here, None, seed, found.state or None)
        numbers = {"gradient_norm": np.array(found.gradient_norm), "converged": np.array(found.converged)}
        shelf.put(
            key(stop),
            {"theta": found.theta.cpu().numpy(), **{k: found.state[k].cpu().numpy() for k in STATE}, **numbers},
        )
        say(f"step {stop:,} of {recipe.steps:,}, gradient norm {found.gradient_norm:.2g}")
        reached = stop
    return found


def key(stop: int) -> str:
    """Under which the state after ``stop`` steps is kept."""
    return f"{BEFORE}{stop}"


def checkpoints(shelf: Shelf) -> dict[int, torch.Tensor]:
    """θ after each number of steps of which a piece is kept, in rising order."""
    stops = sorted(int(name.removeprefix(BEFORE)) for name in shelf.done())
    return {stop: torch.from_numpy(np.array(shelf.get(key(stop))["theta"])) for stop in stops}


def passed(recipe: Adam, shelf: Shelf) -> list[tuple[torch.Tensor, float]]:
    """(θ, learning rate) at each checkpoint that is kept, in rising order, as :class:`whence.TracIn` takes them."""
    return [(theta, recipe.rate(stop - 1)) for stop, theta in checkpoints(shelf).items()]


def _read(shelf: Shelf, stop: int) -> Trained:
    piece = {name: np.array(value) for name, value in shelf.get(key(stop)).items()}
    state = {name: torch.from_numpy(piece[name]) for name in STATE}
    return Trained(
        torch.from_numpy(piece["theta"]), float(piece["gradient_norm"]), 0.0, bool(piece["converged"]), state
    )

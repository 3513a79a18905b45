"""A model with its parameters drawn anew: what is left of an explanation without what training put in."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from whence.task import AbstractTask

Task = TypeVar("Task", bound=AbstractTask)


def reinitialised(task: Task, seed: int = 0) -> Task:
    """The same task over a copy of its module whose parameters are drawn as before training.

    Layers are initialised by their own ``reset_parameters``; parameters of modules that have none are drawn from a
    normal distribution with the mean and deviation of their trained values. The state of torch's generator stays.
    Raises ValueError if nothing changed: a module that resets to constants cannot be randomised.
    """
    twin = copy.copy(task)
    twin.module = copy.deepcopy(task.module)
    before = task.parameters()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for module in twin.module.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                _draw(module)
    if torch.equal(before, twin.parameters()):
        raise ValueError("drawing the parameters anew changed nothing; this model cannot be randomised")
    return twin


def _draw(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        deviation = float(parameter.std()) if parameter.numel() > 1 else 0.0
        parameter.normal_(float(parameter.mean()), deviation or 1.0)

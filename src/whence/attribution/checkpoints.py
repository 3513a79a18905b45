"""Points of a training, for methods that look back at it: parameters as people keep them, and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from whence.objective import Objective
from whence.parameters import CheckpointError, load_checkpoint

Parameters: TypeAlias = Tensor | Mapping[str, Tensor] | Path


@final
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A point that training passed.

    ``parameters``: the studied parameters as one vector [parameter], a module's state dict, or a file of one
    (safetensors, or what ``torch.save(module.state_dict())`` wrote); state dicts and files bring their buffers along.
    ``learning_rate``: that of training there. ``steps``: for how many steps of training the checkpoint stands, if that
    is known.
    Raises ValueError for a rate that is not positive or fewer than one step, TypeError for parameters of another kind.
    """

    parameters: Any
    learning_rate: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.parameters, str):
            object.__setattr__(self, "parameters", Path(self.parameters))
        if not isinstance(self.parameters, Tensor | Mapping | Path):
            raise TypeError(
                f"a checkpoint is a vector [parameter], a state dict or a file, not {type(self.parameters).__name__}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, not {self.learning_rate}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}: a checkpoint stands for steps of training")


def as_checkpoints(given: Iterable[Any]) -> tuple[Checkpoint, ...]:
    """Checkpoints from checkpoints, pairs (parameters, learning rate), or parameters alone.

    Raises ValueError if there are none, or if only some of them say for how many steps they stand.
    """
    if isinstance(given, Tensor | Mapping | str | Path):
        given = [given]
    found = tuple(
        one if isinstance(one, Checkpoint) else Checkpoint(*one) if isinstance(one, tuple) else Checkpoint(one)
        for one in given
    )
    if not found:
        raise ValueError("no checkpoints: give at least one, as (parameters, learning rate) or Checkpoint(...)")
    if len({one.steps is None for one in found}) > 1:
        raise ValueError("some checkpoints say for how many steps they stand and some do not: give steps for all")
    return found


def at(objective: Objective, checkpoint: Checkpoint) -> Objective:
    """The objective at a checkpoint; raises ValueError (CheckpointError for files) if it is of another model."""
    task, kept = objective.task, checkpoint.parameters
    if isinstance(kept, Tensor):
        if kept.shape != objective.theta.shape:
            raise ValueError(
                f"a checkpoint of shape {tuple(kept.shape)}, the model has {len(objective.theta)} studied parameters: "
                "give them as one vector in the layout's order, or a state dict."
            )
        moving = [name for name, buffer in task.module.named_buffers() if buffer.is_floating_point()]
        if moving:
            raise ValueError(
                f"the model has buffers that training moves ({', '.join(moving[:3])}), and a vector has them not: "
                "give checkpoints as state dicts or files."
            )
        if not bool(torch.isfinite(kept).all()):
            raise ValueError("a checkpoint holds NaN or infinity; take an earlier one.")
        return objective.at(kept.detach().to(objective.theta))
    twin = task.frozen()
    if isinstance(kept, Path):
        load_checkpoint(twin.module, kept)
    else:
        try:
            twin.module.load_state_dict(dict(kept))
        except RuntimeError as error:
            raise CheckpointError(
                f"a checkpoint's state dict is of another model ({' '.join(str(error).split())[:200]}): "
                "build the model that was trained."
            ) from error
    return replace(objective, task=twin, theta=twin.parameters().to(objective.theta))

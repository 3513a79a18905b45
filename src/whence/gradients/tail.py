"""The last layers as a model of their own: where nothing else is studied, the network before them runs once.

If layers with all studied parameters stand in a row, each taking what the one before gave, and the last gives the
model's output, then loss, gradients and curvature of an example are functions of what enters the first of them and of
the target. So that is kept from the pass that checks the data, and every later pass is one of these layers alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import torch
from torch import Tensor, nn

from whence.batch import Batch
from whence.examples import Examples, TensorSource
from whence.gradients.layers import plain
from whence.gradients.watch import Seen, Watch, layer_of
from whence.objective import Objective
from whence.task import AbstractTask

LARGEST = 2**27
"""Bytes of what enters the layers that are kept; of more the network runs at every pass."""
PROBED = 3


@torch.no_grad()
def steps_of(task: AbstractTask, examples: Examples) -> tuple[str, ...]:
    """The names of the last layers, in their order, if they are a model of their own; else none."""
    everything = {name for name, _ in task.module.named_parameters()}
    if everything <= set(task.layout.names) or not task.output_only or callable(task.measure_kind):
        return ()
    leaves = [name for name, layer in task.module.named_modules() if name and not any(layer.children())]
    with Watch(task, leaves) as watch:
        try:
            output = task.predict(task.parameters(), examples.take(slice(0, PROBED)))
        except Exception:  # noqa: BLE001  the checks, which come next, say what is wrong with these data
            return ()
        calls = watch.taken()
    found = row_of(calls, output, _owners(task))
    return tuple(seen.name for seen in found) if found and found[0] is not calls[0] else ()


def row_of(calls: Sequence[Seen], output: Tensor, owners: set[str]) -> list[Seen]:
    """The last calls in a row up to the output that hold all of ``owners``; none if something stands between them."""
    found: list[Seen] = []
    out, place = output, len(calls)
    while owners - {seen.name for seen in found}:
        place = next((number for number in reversed(range(place)) if calls[number].left is out), -1)
        if place < 0 or not isinstance(calls[place].entered, Tensor):
            return []
        found.append(calls[place])
        out = calls[place].entered
    return found[::-1]


def _owners(task: AbstractTask) -> set[str]:
    return {name.rpartition(".")[0] for name in task.layout.names}


@final
class Entering:
    """Watches passes of a task and keeps what enters the first of ``steps``, in the order of the batches it saw."""

    def __init__(self, task: AbstractTask, steps: Sequence[str]) -> None:
        self.steps, self.owners = tuple(steps), _owners(task)
        self.kept: list[tuple[Tensor, Tensor]] | None = [] if steps else None
        self.watch = Watch(task, steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.watch.close()

    def __call__(self, batch: Batch, output: Tensor) -> None:
        """Shown a batch and the model's output for it, after the pass."""
        calls = self.watch.taken()
        if self.kept is None:
            return
        row = row_of(calls, output, self.owners)
        if tuple(seen.name for seen in row) != self.steps or len(row[0].entered) != len(batch):
            self.kept = None
            return
        # cloned, for it may be a small view of something large
        self.kept.append((row[0].entered.detach().clone(), batch.targets))
        if sum(piece.nbytes for piece, _ in self.kept) > LARGEST:
            self.kept = None

    def entered(self, examples: Examples) -> Examples | None:
        """The examples that were shown, with what entered the layers as their inputs; None if a pass was another."""
        if not self.kept:
            return None
        features, targets = (torch.cat(pieces) for pieces in zip(*self.kept, strict=True))
        return replace(examples, source=TensorSource(features, targets), rows=np.arange(len(examples)))


@final
@dataclass(frozen=True)
class Tail:
    """``objective``: the last layers alone over what enters them; all else is as in the model."""

    objective: Objective
    steps: tuple[str, ...]

    @classmethod
    def of(cls, whole: Objective, watch: Entering) -> Tail | None:
        """From the pass over the training set that was watched; None if the layers are no model of their own."""
        train = watch.entered(whole.train)
        if train is None:
            return None
        task = copy.copy(whole.task)
        task.module = _Row(whole.task, watch.steps)
        alone = replace(whole, task=task, train=train)
        return cls(alone, watch.steps) if _agree(whole, alone) else None

    def asked(self, whole: Objective, queries: Examples, watch: Entering) -> tuple[Objective, Examples]:
        """(objective, queries) that a method works with; the model's own if the layers do not say all of these."""
        entered = watch.entered(queries)
        return (whole, queries) if entered is None else (self.objective, entered)


class _Row(nn.Module):
    """Layers one after the other, under the names that they have in their model."""

    def __init__(self, task: AbstractTask, steps: Sequence[str]) -> None:
        super().__init__()
        for step in dict.fromkeys(steps):
            *path, name = step.split(".")
            parent: nn.Module = self
            for part in path:
                if part not in dict(parent.named_children()):
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(name, layer_of(task, step))
        self._steps = tuple(steps)  # a layer may be called "steps"
        self.training = task.module.training

    def forward(self, entered: Tensor) -> Tensor:
        for step in self._steps:
            entered = self.get_submodule(step)(entered)
        return entered


def sole_layer(task: AbstractTask) -> nn.Linear | None:
    """The plain linear layer that is the whole model, if it is one and its output is the task's."""
    if not task.output_only:
        return None
    module = task.module
    if isinstance(module, _Row) and len(module._steps) == 1:
        module = module.get_submodule(module._steps[0])
    return module if type(module) is nn.Linear and plain(module) and not module._forward_hooks else None


def _agree(whole: Objective, alone: Objective) -> bool:
    """Whether outputs and gradients of a few examples are the model's: a weight may be used elsewhere, out of sight."""
    few = np.arange(min(PROBED, whole.count))
    tolerance = 1e-9 if whole.theta.dtype == torch.float64 else 1e-4
    return all(
        own.shape == expected.shape and float((own - expected).abs().max()) <= tolerance * float(expected.abs().max())
        for own, expected in zip(_pulled(alone, few), _pulled(whole, few), strict=True)
    )


def _pulled(objective: Objective, few: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Tensor, Tensor]:
    """The output of a few examples, and what a made-up cotangent, for a loss gradient may vanish, pulls back to θ."""
    with torch.enable_grad():
        point = objective.theta.detach().requires_grad_(True)
        output = objective.task.predict(point, objective.train[few].take(slice(None)))
        cotangent = torch.arange(1, output.numel() + 1, device=output.device).to(output).cos().reshape(output.shape)
        (gradient,) = torch.autograd.grad(output, point, cotangent)
    return output.detach(), gradient

"""The last layer as a model of its own: where nothing else is studied, the network before it runs once.

With z = W·a + b the model's output and W and b all that is studied, loss, gradients and curvature of an example are
functions of a and of its target. So a is kept from the pass that checks the data, and every later pass is one of a
linear layer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import torch
from torch import Tensor, nn

from whence.batch import Batch
from whence.examples import Examples, TensorSource
from whence.gradients.layers import plain
from whence.gradients.watch import Watch, layer_of
from whence.objective import Objective
from whence.task import AbstractTask

LARGEST = 2**27
"""Bytes of what enters the layer that are kept; of more the network runs at every pass."""


@final
class Entering:
    """Watches passes of a task and keeps what enters its last layer, in the order of the batches it is shown.

    ``entered`` is None if the layer is no model of its own: other parameters are studied too, its output is not the
    model's, it is used twice, or the question looks at more than output and target.
    """

    def __init__(self, task: AbstractTask, wanted: bool = True) -> None:
        self.prefix = _alone(task) if wanted else None
        self.kept: list[tuple[Tensor, Tensor]] | None = None if self.prefix is None else []
        self.watch = None if self.prefix is None else Watch(layer_of(task, self.prefix))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.watch is not None:
            self.watch.close()

    def __call__(self, batch: Batch, output: Tensor) -> None:
        """Shown a batch and the model's output for it, after the pass."""
        seen = None if self.watch is None else self.watch.seen(len(batch))
        if self.kept is None:
            return
        if seen is None or not torch.equal(seen[1], output):
            self.kept = None
            return
        # cloned, for it may be a small view of something large
        self.kept.append((seen[0].detach().clone(), batch.targets))
        if sum(piece.nbytes for piece, _ in self.kept) > LARGEST:
            self.kept = None

    def entered(self, examples: Examples) -> Examples | None:
        """The examples that were shown, with what entered the layer as their inputs."""
        if not self.kept:
            return None
        features, targets = (torch.cat(pieces) for pieces in zip(*self.kept, strict=True))
        return replace(examples, source=TensorSource(features, targets), rows=np.arange(len(examples)))


@final
@dataclass(frozen=True)
class LastLayer:
    """``objective``: the last layer alone over what enters it; all else is as in the model."""

    objective: Objective

    @classmethod
    def of(cls, whole: Objective, watch: Entering) -> LastLayer | None:
        """From the pass over the training set that was watched; None if the layer is no model of its own."""
        train = watch.entered(whole.train)
        if train is None or watch.prefix is None:
            return None
        task = copy.copy(whole.task)
        task.module = _Alone(watch.prefix, layer_of(task, watch.prefix))
        return cls(replace(whole, task=task, train=train))

    def asked(self, whole: Objective, queries: Examples, watch: Entering) -> tuple[Objective, Examples]:
        """(objective, queries) that a method works with; the model's own if this layer does not say all of these."""
        entered = watch.entered(queries)
        return (whole, queries) if entered is None else (self.objective, entered)


class _Alone(nn.Module):
    """A linear layer under the name that it has in its model."""

    def __init__(self, prefix: str, layer: nn.Module) -> None:
        super().__init__()
        *path, name = prefix.split(".")
        parent: nn.Module = self
        for step in path:
            parent.add_module(step, child := nn.Module())
            parent = child
        parent.add_module(name, layer)
        self.prefix: str = prefix
        self.train(layer.training)

    def forward(self, entered: Tensor) -> Tensor:
        output: Tensor = self.get_submodule(self.prefix)(entered)
        return output


def sole_layer(task: AbstractTask) -> nn.Linear | None:
    """The plain linear layer that is the whole model, if it is one and its output is the task's."""
    if not task.output_only:
        return None
    module = task.module.get_submodule(task.module.prefix) if isinstance(task.module, _Alone) else task.module
    return module if _plain(module) else None  # type: ignore[return-value]


def _plain(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear and plain(layer) and not layer._forward_hooks


def _alone(task: AbstractTask) -> str | None:
    """The name of the plain linear layer that holds all studied parameters and shares none; None if there is none."""
    prefixes = {name.rpartition(".")[0] for name in task.layout.names}
    prefix = next(iter(prefixes))
    if len(prefixes) > 1 or not prefix or not task.output_only or callable(task.measure_kind):
        return None
    layer = layer_of(task, prefix)
    if not _plain(layer):
        return None
    own = {id(parameter) for parameter in layer.parameters()}
    everywhere = [name for name, value in task.module.named_parameters(remove_duplicate=False) if id(value) in own]
    return prefix if len(everywhere) == len(own) else None

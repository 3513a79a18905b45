"""What enters layers of a model and what leaves them, seen while the model runs; and which layer gives the output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from whence.batch import Batch
from whence.examples import Examples
from whence.task import AbstractTask


@final
@dataclass(frozen=True)
class Seen:
    """One use of a layer: its name, what entered it, if that was one argument without a name, and what left it."""

    name: str
    entered: Any
    left: Any

    def flat(self, count: int) -> bool:
        """Whether [count, feature] entered."""
        return isinstance(self.entered, Tensor) and self.entered.shape[:-1] == (count,)


@final
class Watch:
    """Sees the uses of some layers of a model, pass by pass, until it is closed."""

    def __init__(self, task: AbstractTask, names: Iterable[str]) -> None:
        self.calls: list[Seen] = []
        self.handles = [self._hooked(name, layer_of(task, name)) for name in dict.fromkeys(names)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.calls.clear()

    def taken(self) -> list[Seen]:
        """The uses, in order, since this was last asked."""
        calls, self.calls = self.calls, []
        return calls

    def _hooked(self, name: str, layer: nn.Module) -> Any:
        def called(layer: nn.Module, args: Any, named: Any, left: Any) -> None:
            self.calls.append(Seen(name, args[0] if len(args) == 1 and not named else None, left))

        return layer.register_forward_hook(called, with_kwargs=True)


@torch.no_grad()
def gathered(
    task: AbstractTask, theta: Tensor, prefix: str, examples: Examples, batch_size: int = 1024
) -> tuple[Tensor, Tensor] | None:
    """What enters a layer [n, feature] and what the model puts out [n, ...] for each example, in float64, in one pass.

    None if the layer is not used exactly once, or over other inputs than [batch, feature].
    """
    entered, outputs = [], []
    with Watch(task, [prefix]) as watch:
        for _, batch in examples.batches(batch_size):
            output = task.predict(theta, batch)
            seen = watch.taken()
            if len(seen) != 1 or not seen[0].flat(len(batch)):
                return None
            entered.append(seen[0].entered.detach().double())
            outputs.append(output.double())
    return torch.cat(entered), torch.cat(outputs)


@torch.no_grad()
def output_layer(task: AbstractTask, theta: Tensor, batch: Batch) -> str | None:
    """The name of the linear layer over [batch, feature] that gives the output, is used once and studied, if any."""
    studied = dict.fromkeys(name.rpartition(".")[0] for name in reversed(task.layout.names))
    linear = [name for name in studied if type(layer_of(task, name)) is nn.Linear]
    with Watch(task, linear) as watch:
        output = task.predict(theta, batch)
        calls = watch.taken()
    for name in linear:
        own = [seen for seen in calls if seen.name == name]
        if len(own) == 1 and own[0].flat(len(batch)) and torch.equal(own[0].left, output):
            return name
    return None


def layer_of(task: AbstractTask, prefix: str) -> nn.Module:
    return task.module.get_submodule(prefix)

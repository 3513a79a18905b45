"""What enters a layer of a model and what leaves it, seen while the model runs; and which layer gives the output."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from whence.batch import Batch
from whence.examples import Examples
from whence.task import AbstractTask


@final
class Watch:
    """Sees what enters a layer of a model and what leaves it, pass by pass, until it is closed."""

    def __init__(self, layer: nn.Module) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.handle = layer.register_forward_hook(self._called)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self.handle.remove()
        self.calls.clear()

    def seen(self, count: int) -> tuple[Tensor, Tensor] | None:
        """What entered [count, feature] and what left since this was last asked.

        None if the layer was not used exactly once, or over inputs of another shape.
        """
        calls, self.calls = self.calls, []
        if len(calls) != 1:
            return None
        args, left = calls[0]
        return (args[0], left) if args and args[0].shape[:-1] == (count,) else None

    def _called(self, layer: nn.Module, args: Any, output: Tensor) -> None:
        self.calls.append((args, output))


@torch.no_grad()
def gathered(
    task: AbstractTask, theta: Tensor, prefix: str, examples: Examples, batch_size: int = 1024
) -> tuple[Tensor, Tensor] | None:
    """What enters a layer [n, feature] and what the model puts out [n, ...] for each example, in float64, in one pass.

    None if the layer is not used exactly once, or over other inputs than [batch, feature].
    """
    entered, outputs = [], []
    with Watch(layer_of(task, prefix)) as watch:
        for _, batch in examples.batches(batch_size):
            output = task.predict(theta, batch)
            seen = watch.seen(len(batch))
            if seen is None:
                return None
            entered.append(seen[0].detach().double())
            outputs.append(output.double())
    return torch.cat(entered), torch.cat(outputs)


@torch.no_grad()
def output_layer(task: AbstractTask, theta: Tensor, batch: Batch) -> str | None:
    """The name of the linear layer over [batch, feature] that gives the output, is used once and studied, if any."""
    studied = dict.fromkeys(name.rpartition(".")[0] for name in reversed(task.layout.names))
    linear = [name for name in studied if type(layer_of(task, name)) is nn.Linear]
    with ExitStack() as stack:
        watches = {name: stack.enter_context(Watch(layer_of(task, name))) for name in linear}
        output = task.predict(theta, batch)
        for name, watch in watches.items():
            seen = watch.seen(len(batch))
            if seen is not None and torch.equal(seen[1], output):
                return name
    return None


def layer_of(task: AbstractTask, prefix: str) -> nn.Module:
    return task.module.get_submodule(prefix)

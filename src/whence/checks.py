"""Checks at the door: data that is finite and fits the task, and a model whose passes agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from whence.batch import Batch, tensors_of
from whence.examples import Examples
from whence.task import AbstractTask

BATCH = 256


def check_data(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    name: str,
    seen: Callable[[Batch, Tensor], None] = lambda batch, output: None,
) -> None:
    """Raise ValueError if the set is empty, a feature is NaN or infinite, or targets or outputs do not fit.

    ``seen`` is shown each batch with its output, so that what else is wanted of them costs no second pass.
    """
    if len(examples) == 0:
        raise ValueError(f"the {name} set is empty: there is nothing to attribute. Give at least one example.")
    for window, given in examples.batches(BATCH):
        batch = given.to(theta.dtype, theta.device)
        for tensor in tensors_of(batch.inputs):
            # a sum is finite only if all its terms are, and is the cheaper question
            if bool(torch.isfinite(tensor.sum())):
                continue
            finite = torch.isfinite(tensor).reshape(len(batch), -1).all(1)
            if not bool(finite.all()):
                broken = examples.ids[window][~finite.cpu().numpy()]
                raise ValueError(
                    f"the {name} set has NaN or infinite features, in the examples {broken[:5].tolist()}: "
                    "remove or repair them."
                )
        with torch.no_grad():
            output = _predict(task, theta, batch, name)
            task.check(output, batch)
            if not bool(torch.isfinite(output).all()):
                raise ValueError(
                    f"the model's output is NaN or infinite on the {name} set: is it the right checkpoint? "
                    "Load the one that was trained, and scale the features as in training."
                )
            seen(given, output)


def _predict(task: AbstractTask, theta: Tensor, batch: Batch, name: str) -> Tensor:
    """The output, or a ValueError that shows what the model was given where torch only says what it missed."""
    try:
        return task.predict(theta, batch)
    except (RuntimeError, IndexError) as error:
        forms = [f"{tuple(tensor.shape)} {tensor.dtype}".replace("torch.", "") for tensor in tensors_of(batch.inputs)]
        raise ValueError(
            f"the model cannot take the {name} inputs {', '.join(forms)} ({str(error).splitlines()[0]}): "
            "give the features in the shape and type that it was trained on."
        ) from error


def check_repeatable(task: AbstractTask, theta: Tensor, examples: Examples, rows: int = 32) -> None:
    """Raise ValueError unless two passes agree, whatever shares the batch.

    Finds dropout and BatchNorm in train mode, and datasets that augment at random.
    """
    some = examples[np.arange(min(rows, len(examples)))]
    everything = slice(0, len(some))
    first, second = some.take(everything), some.take(everything)
    both = ([*tensors_of(batch.inputs), batch.targets] for batch in (first, second))
    for one, other in zip(*both, strict=True):
        if not torch.equal(one, other):
            raise ValueError(
                "the dataset returns other values each time it is read (random augmentation): "
                "give the examples without augmentation."
            )
    with torch.no_grad():
        whole, again = task.predict(theta, first), task.predict(theta, first)
        half = max(1, len(some) // 2)
        part = task.predict(theta, some.take(slice(0, half)))
    mode = "in train mode" if task.module.training else "in eval mode"
    if not _close(whole, again):
        raise ValueError(
            f"two passes over the same examples differ (the model is {mode}): "
            "dropout or other noise is active. Call model.eval() before attribution."
        )
    if not _close(whole[:half], part):
        raise ValueError(
            f"the output of an example depends on what else is in its batch (the model is {mode}): "
            "BatchNorm uses batch statistics. Call model.eval() before attribution."
        )


def _close(first: Tensor, second: Tensor) -> bool:
    tolerance = 1e-4 if first.dtype != torch.float64 else 1e-9
    scale = float(first.abs().max().clamp(min=1.0))
    return bool((first - second).abs().max() <= tolerance * scale)

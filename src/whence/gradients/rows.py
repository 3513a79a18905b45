"""Per-example gradients as rows [example, parameter], and Jacobians of the outputs, by the fastest way that is right.

Two ways exist: taking linear, convolutional and embedding layers apart (:mod:`whence.gradients.layers`), and
``vmap(grad)`` for any module. The first is used only where its rows for a few examples equal autograd's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from whence.batch import Batch, map_tensors
from whence.examples import Examples
from whence.gradients import functional, layers
from whence.task import AbstractTask

Way: TypeAlias = Literal["layers", "functional"]
PROBED = 3
LARGEST = 2**25
"""Bytes of rows that are held at once: of a large model fewer examples go together than asked for."""


def way_for(task: AbstractTask, theta: Tensor, examples: Examples) -> Way:
    """The way for this model: by layers if they hold all studied parameters and agree with autograd."""
    if not layers.covers(task.module, task.layout):
        return "functional"
    return "layers" if agreeing(task, theta, examples) == set(task.layout.names) else "functional"


def agreeing(task: AbstractTask, theta: Tensor, examples: Examples) -> set[str]:
    """The parameters whose rows by layers equal autograd's for a few examples.

    The cotangents of the comparison are made up, since a loss gradient may vanish and then agrees with anything.
    """
    batch = examples.take(slice(0, min(PROBED, len(examples))))
    tape = layers.record(task, theta, batch)
    if len(tape.output) != len(batch):
        return set()
    # a layer that saw its rows in another arrangement than one an example is not taken apart
    tape = replace(tape, calls=tuple(call for call in tape.calls if len(call.left) == len(batch)))
    cotangent = (
        torch.arange(1, tape.output.numel() + 1, device=tape.output.device)
        .to(tape.output)
        .cos()
        .reshape(tape.output.shape)
    )
    error = (tape.pull(cotangent) - (expected := _one_by_one(task, theta, batch, cotangent))).abs().amax(0)
    tolerance = (1e-9 if theta.dtype == torch.float64 else 1e-4) * float(expected.abs().max().clamp(min=1e-6))
    owned = layers.owned(task.module)
    return {
        name for name, where in task.layout.slices.items() if name in owned and float(error[where].max()) <= tolerance
    }


def _one_by_one(task: AbstractTask, theta: Tensor, batch: Batch, cotangent: Tensor) -> Tensor:
    """The rows by a plain backward pass an example."""
    pulled = []
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        output = task.predict(point, batch)
        for position in range(len(batch)):
            alone = torch.zeros_like(cotangent)
            alone[position] = cotangent[position]
            pulled.append(torch.autograd.grad(output, point, alone, retain_graph=True)[0])
    return torch.stack(pulled)


def output_gradient(task: AbstractTask, output: Tensor, batch: Batch, of: functional.Of) -> Tensor:
    """The gradient of each example's loss or measurement in its output, shaped as the output."""
    leaf = output.detach().requires_grad_(True)
    with torch.enable_grad():
        value = task.measure(leaf, batch) if of == "measure" else functional.loss_of(task, leaf, batch)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return gradient


def gradient_rows(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    of: functional.Of = "loss",
    batch_size: int = 256,
    way: Way | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """∇θ of each example's loss or measurement, in batches: (positions, rows [batch, parameter])."""
    yield from cotangent_rows(
        task, theta, examples, lambda window, output, batch: output_gradient(task, output, batch, of), batch_size, way
    )


def cotangent_rows(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    cotangent: Callable[[slice, Tensor, Batch], Tensor],
    batch_size: int = 256,
    way: Way | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """J_iᵀ c_i for each example, with ``cotangent(positions, output, batch)`` giving c [batch, output ...]."""
    way = way or way_for(task, theta, examples)
    for window, batch in examples.batches(_held(batch_size, theta)):
        if way == "layers":
            tape = layers.record(task, theta, batch)
            yield window, tape.pull(cotangent(window, tape.output.detach(), batch))
            continue
        with torch.no_grad():
            output = task.predict(theta, batch)
        yield window, _functional_rows(task, theta, batch, cotangent(window, output, batch))


def rows_of_many(
    task: AbstractTask,
    theta: Tensor,
    examples: Examples,
    cotangents: Callable[[slice, Tensor, Batch], Iterable[Tensor]],
    batch_size: int = 128,
    way: Way | None = None,
) -> Iterator[Tensor]:
    """J_iᵀ c_i for each example and each of several c, as rows [batch, parameter]: one forward pass a batch."""
    way = way or way_for(task, theta, examples)
    if way == "layers":
        for window, batch in examples.batches(_held(batch_size, theta)):
            tape = layers.record(task, theta, batch)
            for cotangent in cotangents(window, tape.output.detach(), batch):
                yield tape.pull(cotangent)
        return
    for window, batch, output, jacobian in jacobians(task, theta, examples, batch_size, way):
        for cotangent in cotangents(window, output, batch):
            yield (cotangent.reshape(len(output), 1, -1) @ jacobian)[:, 0]


def jacobians(
    task: AbstractTask, theta: Tensor, examples: Examples, batch_size: int = 128, way: Way | None = None
) -> Iterator[tuple[slice, Batch, Tensor, Tensor]]:
    """(positions, batch, outputs [batch, output], J [batch, output, parameter]) for all examples, in batches."""
    way = way or way_for(task, theta, examples)
    for window, batch in examples.batches(batch_size):
        if way == "layers":
            tape = layers.record(task, theta, batch)
            flat = tape.output.detach().reshape(len(batch), -1)
            pulled = [tape.pull(_unit(tape.output, column)) for column in range(flat.shape[1])]
            yield window, batch, tape.output.detach(), torch.stack(pulled, 1)
            continue
        with torch.no_grad():
            output = task.predict(theta, batch)
        yield window, batch, output, _functional_jacobian(task, theta, batch)


def _held(batch_size: int, theta: Tensor) -> int:
    """How many rows go together, of ``batch_size`` at most."""
    return max(1, min(batch_size, LARGEST // (len(theta) * theta.element_size())))


def _unit(output: Tensor, column: int) -> Tensor:
    cotangent = torch.zeros_like(output).reshape(len(output), -1)
    cotangent[:, column] = 1.0
    return cotangent.reshape(output.shape)


def _single(task: AbstractTask, point: Tensor, inputs: object, target: Tensor) -> Tensor:
    one = Batch(map_tensors(lambda value: value[None], inputs), target[None])
    return task.predict(point, one)[0]


def _functional_rows(task: AbstractTask, theta: Tensor, batch: Batch, cotangent: Tensor) -> Tensor:
    def pull(inputs: object, target: Tensor, direction: Tensor) -> Tensor:
        pulled: Tensor = vjp(lambda point: _single(task, point, inputs, target), theta)[1](direction)[0]
        return pulled

    rows: Tensor = vmap(pull)(batch.inputs, batch.targets, cotangent)
    return rows


def _functional_jacobian(task: AbstractTask, theta: Tensor, batch: Batch) -> Tensor:
    def jacobian(inputs: object, target: Tensor) -> Tensor:
        return jacrev(lambda point: _single(task, point, inputs, target).reshape(-1))(theta)  # type: ignore[no-any-return]

    found: Tensor = vmap(jacobian)(batch.inputs, batch.targets)
    return found

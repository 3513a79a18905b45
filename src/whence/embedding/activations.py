"""The output of any layer of a network for every example, vectorised: the example's embedding in that layer."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from whence.batch import Batch
from whence.examples import Examples

INPUT = "input"
OUTPUT = "output"
RESERVED = (INPUT, OUTPUT)


def layer_names(module: nn.Module) -> list[str]:
    """The named modules of ``module``, outermost first, whose output :func:`activations` can be asked for.

    ``"input"`` (the vectorised input: pixel space) and ``"output"`` (what the model returns) can be asked for too, of
    any module; a layer of its own under one of these two names cannot, and is left out here.
    """
    return [name for name, _ in module.named_modules() if name and name not in RESERVED]


@torch.no_grad()
def activations(
    module: nn.Module,
    layers: str | Sequence[str],
    examples: Examples,
    batch_size: int = 512,
    parameters: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The outputs of ``layers`` for all examples, by name: [n, d] each, in the examples' order, from one forward pass.

    An output of another shape than [n, d] is vectorised example by example. Values are in the module's floating type,
    without gradient and in main memory. The module's mode is taken as it is; neither its parameters nor its buffers
    nor its hooks are changed. Inputs are fed as a task feeds them: a tensor, a tuple or keyword arguments.

    ``layers``: names out of :func:`layer_names`, ``"input"`` or ``"output"``. ``parameters``: values by name that
    stand for the module's own during the pass.

    Raises KeyError for a layer that the module has not; ValueError for a layer that does not run or runs more than
    once in a forward pass, or whose output is not a tensor with one row an example, for ``"input"`` where the inputs
    are not a single tensor, and for no layers or no examples.
    """
    wanted = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not wanted or len(examples) == 0 or batch_size < 1:
        raise ValueError(
            f"{len(wanted)} layers of {len(examples)} examples in batches of {batch_size}: give one or more of each."
        )
    found = _found(module, wanted)
    dtype, device = _home(module)
    state = {**{name: buffer.clone() for name, buffer in module.named_buffers()}, **(parameters or {})}
    count = len(examples)
    if found and count > 1:
        # A layer that puts another dimension first may by chance have as many rows as the batch, but not as two.
        sample = examples.take(slice(0, min(2, count - 1))).to(dtype, device)
        _run(module, found, sample, state)
    pieces: dict[str, list[Tensor]] = {name: [] for name in wanted}
    for _, batch in examples.batches(batch_size):
        rows = _run(module, found, batch.to(dtype, device), state) if found else {}
        if INPUT in pieces:
            rows[INPUT] = _input(batch)
        for name, piece in rows.items():
            pieces[name].append(piece.to("cpu", dtype))
    return {name: torch.cat(parts) for name, parts in pieces.items()}


def _found(module: nn.Module, wanted: Sequence[str]) -> dict[str, nn.Module]:
    """The layers to listen to by name; "input" is none of them."""
    own = dict(module.named_modules(remove_duplicate=False))
    known = {name: layer for name, layer in own.items() if name and name not in RESERVED} | {OUTPUT: module}
    for name in wanted:
        if name not in known and name != INPUT:
            every = [*layer_names(module), *RESERVED]
            close = difflib.get_close_matches(name, every, n=3)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise KeyError(f"the model has no layer {name!r}{hint} It has {', '.join(every)}.")
    return {name: known[name] for name in wanted if name != INPUT}


def _home(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """The floating type and the device of a module; torch's default where it holds nothing."""
    tensors = [*module.parameters(), *module.buffers()]
    floating = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    dtype = floating[0] if floating else torch.get_default_dtype()
    return dtype, tensors[0].device if tensors else torch.device("cpu")


def _run(
    module: nn.Module, layers: Mapping[str, nn.Module], batch: Batch, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """One forward pass: the output of each layer as [batch, d]."""
    calls: dict[str, list[Any]] = {name: [] for name in layers}
    with _listening(layers, calls):
        functional_call(module, dict(state), *batch.arguments)
    return {name: _rows(name, outputs, len(batch)) for name, outputs in calls.items()}


@contextmanager
def _listening(layers: Mapping[str, nn.Module], calls: Mapping[str, list[Any]]) -> Iterator[None]:
    handles = []
    try:
        for name, layer in layers.items():

            def keep(_layer: nn.Module, _args: Any, output: Any, name: str = name) -> None:
                value = getattr(output, "logits", output) if name == OUTPUT else output
                # a copy, as the next layer may work in place
                calls[name].append(value.detach().clone() if isinstance(value, Tensor) else value)

            handles.append(layer.register_forward_hook(keep))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(name: str, outputs: Sequence[Any], count: int) -> Tensor:
    if not outputs:
        raise ValueError(f"the layer {name!r} does not run in the model's forward pass: ask for a layer that does.")
    if len(outputs) > 1:
        raise ValueError(
            f"the layer {name!r} runs {len(outputs)} times in a forward pass, so it has no one output an example: "
            "ask for a layer around it or after it."
        )
    value = outputs[0]
    if not isinstance(value, Tensor):
        raise ValueError(
            f"the layer {name!r} returns {type(value).__name__}, not a tensor: ask for a layer inside it or after it."
        )
    if value.ndim == 0 or len(value) != count:
        raise ValueError(
            f"the layer {name!r} returns shape {tuple(value.shape)} for {count} examples: it needs one row an example; "
            "ask for a layer whose output has the examples first."
        )
    return value.reshape(count, -1)


def _input(batch: Batch) -> Tensor:
    if not isinstance(batch.inputs, Tensor):
        kind = "named columns" if isinstance(batch.inputs, Mapping) else f"{len(batch.inputs)} tensors"
        raise ValueError(f"the inputs are {kind}, not a single tensor, so there is no one input space: name a layer.")
    return batch.inputs.reshape(len(batch), -1)

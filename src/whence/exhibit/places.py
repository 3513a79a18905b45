"""Where examples lie in a layer: its name where none was given, its embeddings, and maps of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from whence.embedding.activations import INPUT, activations
from whence.embedding.maps import fit_plane, tsne_together
from whence.examples import Examples
from whence.gradients.functional import outputs
from whence.task import AbstractTask

ROWS = 10_000
"""Rows that t-SNE is still asked to lay out: its time grows faster than their number."""
NUMBERS = 100_000_000
"""Of an embedding: more would not fit beside the work on them."""
KINDS = ("pca", "tsne")


@dataclass(frozen=True)
class Place:
    """Embeddings of the training examples [n, d] and of the queries [m, d] in a layer."""

    layer: str
    train: Tensor
    queries: Tensor


def last_hidden_layer(task: AbstractTask, examples: Examples) -> str | None:
    """The layer before the one that forms the output: of those that run once, the last before the last parameters.

    ``"input"`` where the output is formed from the inputs at once; None where these are no single tensor either.
    """
    running: list[str] = []
    handles = []
    for name, layer in task.module.named_modules():
        if name and not list(layer.children()):

            def keep(_layer: nn.Module, _args: Any, _output: Any, name: str = name) -> None:
                running.append(name)

            handles.append(layer.register_forward_hook(keep))
    some = examples[np.arange(min(2, len(examples)))]
    try:
        outputs(task, task.parameters(), some)
    finally:
        for handle in handles:
            handle.remove()
    named = dict(task.module.named_modules())
    with_parameters = [at for at, name in enumerate(running) if any(True for _ in named[name].parameters())]
    before = running[: with_parameters[-1]] if with_parameters else []
    for name in reversed(before):
        if running.count(name) == 1 and _embeds(task.module, name, some):
            return name
    return INPUT if isinstance(some.take(slice(0, 1)).inputs, Tensor) else None


def place_of(task: AbstractTask, layer: str, train: Examples, queries: Examples) -> Place:
    """The embeddings in a layer.

    Raises what ``activations`` raises, and ValueError where they would be more than 100 million numbers or have
    another width for the queries.
    """
    width = activations(task.module, layer, train[np.arange(min(2, len(train)))])[layer].shape[1]
    count = len(train) + len(queries)
    if width * count > NUMBERS:
        raise ValueError(f"{count:,} rows of {width:,} numbers each in {layer} are too many to lay out")
    found, asked = (activations(task.module, layer, part)[layer] for part in (train, queries))
    if found.shape[1] != asked.shape[1]:
        raise ValueError(f"the training examples have {found.shape[1]} numbers there, the queries {asked.shape[1]}")
    return Place(layer, found, asked)


def map_of(kind: str, place: Place, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """A map's arrays ``train`` [n, 2] and ``queries`` [m, 2], and as ``note`` how to read it.

    Raises ValueError for embeddings that cannot be mapped, and for more rows than t-SNE is asked to lay out.
    """
    train, queries = place.train.numpy(), place.queries.numpy()
    if train.shape[1] < 2:
        raise ValueError(f"the layer {place.layer} has one number an example")
    if kind == "pca":
        plane = fit_plane(train)
        first, second = (f"{share:.0%}" for share in plane.shares)
        words = f"The two principal components hold {first} and {second} of the variance of the training examples."
        found = plane.place(train), plane.place(queries, dim="query")
    else:
        if len(train) + len(queries) > ROWS:
            raise ValueError(f"t-SNE is not asked to lay out {len(train) + len(queries):,} rows, more than {ROWS:,}")
        found = tsne_together(train, queries, seed=seed)
        words = (
            f"{found[0].attrs['method']}. Near points were near in the layer; distances between far groups, and the "
            "sizes of groups, mean nothing. The queries took part in the layout."
        )
    arrays = {side: one.values.astype(np.float32) for side, one in zip(("train", "queries"), found, strict=True)}
    return {**arrays, "note": np.array(words)}


def _embeds(module: nn.Module, name: str, some: Examples) -> bool:
    """Whether a layer's output has one row an example."""
    try:
        with torch.no_grad():
            return activations(module, name, some)[name].shape[1] > 1
    except ValueError:
        return False

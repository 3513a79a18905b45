"""A batch: inputs as a model takes them, and targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Inputs: TypeAlias = Any
TARGET_KEYS = ("labels", "label", "targets", "target", "y")


@dataclass(frozen=True)
class Batch:
    """Rows as a model takes them: ``inputs`` (a tensor, a tuple or a dict of tensors), ``targets`` [batch, ...]."""

    inputs: Inputs
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs as a model is called with them: positional arguments, and those by name."""
        if isinstance(self.inputs, Mapping):
            return (), dict(self.inputs)
        return (self.inputs,) if isinstance(self.inputs, Tensor) else tuple(self.inputs), {}

    def to(self, dtype: torch.dtype, device: torch.device) -> Batch:
        """Floating inputs and targets in ``dtype``; everything on ``device``."""
        return Batch(
            map_tensors(lambda value: _cast(value, dtype, device), self.inputs),
            _cast(self.targets, dtype, device),
        )


def as_batch(collated: Any, target: str | None = None) -> Batch:
    """Split what a dataset yields into inputs and targets: the last of a tuple, or the target column of a dict.

    Lists of strings in a dict are left out: they are for people, not for the model.
    """
    if isinstance(collated, Mapping):
        key = target or next((name for name in TARGET_KEYS if name in collated), None)
        if key is None or key not in collated:
            raise ValueError(f"no target column among {sorted(collated)}: name it with target=...")
        return Batch(_tensors({name: value for name, value in collated.items() if name != key}), _tensor(collated[key]))
    if target is not None:
        raise ValueError(f"target={target!r} names a column of a dict; these examples are tuples, with the target last")
    if isinstance(collated, tuple | list) and len(collated) >= 2:
        *inputs, targets = collated
        tensors = tuple(_tensors(value) for value in inputs)
        return Batch(tensors[0] if len(tensors) == 1 else tensors, _tensor(targets))
    raise ValueError("an example must be a pair (input, target), a longer tuple with the target last, or a dict.")


def map_tensors(fn: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Apply ``fn`` to every tensor of a tensor, a tuple or a dict of tensors."""
    if isinstance(inputs, Tensor):
        return fn(inputs)
    if isinstance(inputs, Mapping):
        return {name: map_tensors(fn, value) for name, value in inputs.items()}
    return tuple(map_tensors(fn, value) for value in inputs)


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """Every tensor of a tensor, a tuple or a dict of tensors."""
    found: list[Tensor] = []
    map_tensors(lambda value: (found.append(value), value)[1], inputs)  # type: ignore[func-returns-value]
    return found


def _tensors(value: Any) -> Inputs:
    if isinstance(value, Mapping):
        return {name: _tensor(column) for name, column in value.items() if not _is_text(column)}
    if isinstance(value, tuple | list) and value and isinstance(value[0], Tensor | np.ndarray):
        return tuple(_tensor(column) for column in value)
    return _tensor(value)


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    array = np.atleast_1d(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"a column of type {array.dtype} cannot be a tensor: encode text and categories as numbers first."
        )
    # torch wants memory in C order that is writable and in native byte order; pandas and files often give less
    return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str))


def _cast(value: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)

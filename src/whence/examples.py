"""Data whose rows carry stable ids: arrays, tensors, map-style datasets and loaders behind one face."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from whence.batch import Batch, Inputs, as_batch, map_tensors, tensors_of

Ids: TypeAlias = npt.NDArray[Any]


class Source(Protocol):
    """Where rows come from."""

    def __len__(self) -> int: ...

    def take(self, rows: npt.NDArray[np.int64]) -> Batch: ...


@dataclass(frozen=True)
class TensorSource:
    """Rows that lie in memory."""

    inputs: Inputs
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool(np.all(np.diff(rows) == 1)):
            window = slice(int(rows[0]), int(rows[-1]) + 1)
            return Batch(map_tensors(lambda value: value[window], self.inputs), self.targets[window])
        index = torch.from_numpy(np.ascontiguousarray(rows))
        return Batch(map_tensors(lambda value: value[index], self.inputs), self.targets[index])


@dataclass(frozen=True)
class DatasetSource:
    """Rows of a map-style dataset, fetched and collated when asked for."""

    dataset: Any
    collate: Callable[[list[Any]], Any] = default_collate
    target: str | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        batch = as_batch(self.collate([self.dataset[int(row)] for row in rows]), self.target)
        if len(batch) != len(rows):
            raise ValueError(
                f"collating {len(rows)} examples gave {len(batch)} targets: let the collate function keep them all."
            )
        return batch


@dataclass(frozen=True)
class Examples:
    """Examples with ids. ``examples[mask | slice | positions]`` is a part of them that keeps its ids.

    ``rows`` selects from ``source``; ``ids`` [n] are unique integers or strings; ``classes`` names the labels;
    ``show`` says how a row is shown to a person (see ``whence.display``): by default from its inputs.
    """

    source: Source
    rows: npt.NDArray[np.int64]
    ids: Ids
    classes: tuple[str, ...] = ()
    show: Callable[[Any], Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.rows):
            raise ValueError(
                f"{len(self.ids)} ids for {len(self.rows)} examples: give one id an example, in the data's order."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> Examples:
        index = np.asarray(which) if not isinstance(which, slice) else which
        if isinstance(index, np.ndarray) and index.dtype == bool and len(index) != len(self):
            raise ValueError(f"a mask of {len(index)} for {len(self)} examples: give one True or False an example.")
        if isinstance(index, np.ndarray) and index.size == 0:
            index = index.astype(np.int64)
        rows = np.atleast_1d(self.rows[index])
        if rows.ndim != 1 or len(np.unique(rows)) != len(rows):
            raise ValueError("each example can be taken once, as ids are unique: give a row of positions, none twice.")
        return replace(self, rows=rows, ids=np.atleast_1d(self.ids[index]))

    def take(self, positions: npt.NDArray[np.int64] | slice) -> Batch:
        """The examples at these positions, as a batch."""
        return self.source.take(self.rows[positions])

    def batches(self, size: int) -> Iterator[tuple[slice, Batch]]:
        """All examples in order, in batches of ``size``, each with the positions it covers."""
        for start in range(0, len(self), size):
            window = slice(start, min(start + size, len(self)))
            yield window, self.take(window)

    def shards(self, count: int) -> list[Examples]:
        """At most ``count`` parts of nearly equal length, in order, none of them empty; ``count`` is at least 1."""
        if count < 1:
            raise ValueError(f"cannot cut examples into {count} shards: give 1 or more.")
        edges = np.linspace(0, len(self), min(count, len(self)) + 1).astype(int)
        return [self[start:stop] for start, stop in itertools.pairwise(edges)]

    def positions(self, ids: Sequence[Any] | Ids) -> npt.NDArray[np.int64]:
        """The positions of these ids; raises KeyError naming those that are missing."""
        wanted = np.atleast_1d(ids)
        if wanted.dtype == bool:
            raise TypeError("a mask is not a list of ids: write examples[mask], or give ids.")
        index = {identity: position for position, identity in enumerate(self.ids.tolist())}
        absent = [identity for identity in wanted.tolist() if identity not in index]
        if absent:
            kind = "integers" if np.issubdtype(self.ids.dtype, np.integer) else "strings"
            raise KeyError(f"no example has the id {absent[:5]}; the ids here are {kind}, {_some(self.ids)}")
        return np.array([index[identity] for identity in wanted.tolist()], dtype=np.int64)

    def select(self, ids: Sequence[Any] | Ids) -> Examples:
        """The examples with these ids, in this order."""
        return self[self.positions(ids)]

    def targets(self, size: int = 4096) -> Tensor:
        """All targets [n, ...]."""
        return torch.cat([batch.targets for _, batch in self.batches(size)]) if len(self) else torch.empty(0)


def as_examples(
    data: Any,
    ids: Sequence[Any] | Ids | None = None,
    classes: Sequence[str] = (),
    target: str | None = None,
    show: Callable[[Any], Any] | None = None,
) -> Examples:
    """Take data as people have it.

    ``data``: ``Examples``; a pair ``(X, y)`` of arrays or tensors; a dict of arrays or tensors with a target under
    ``target`` (else one of labels, label, targets, target, y); a DataLoader (its dataset, in the dataset's order,
    with its collate function); or a map-style dataset of such pairs or dicts.
    ``ids``: unique integers or strings, one an example; by default the positions 0 to n-1.
    Raises TypeError for other data, ValueError for repeated or missing ids and for columns of unequal length.
    """
    if isinstance(data, Examples):
        if target is not None:
            raise ValueError("these are Examples already, whose target is settled: leave target out.")
        own = data.ids if ids is None else check_ids(ids, len(data))
        return replace(data, ids=own, classes=tuple(classes) or data.classes, show=show or data.show)
    source = _source(data, target)
    count = len(source)
    own = np.arange(count) if ids is None else check_ids(ids, count)
    return Examples(source, np.arange(count), own, tuple(classes), show)


def _source(data: Any, target: str | None) -> Source:
    if isinstance(data, DataLoader):
        _check_loader(data)
        return DatasetSource(data.dataset, data.collate_fn or default_collate, target)
    if isinstance(data, tuple) and not _columns(data):
        raise TypeError(
            f"cannot read columns from a tuple of {[type(column).__name__ for column in data]}: "
            "give arrays or tensors, as in (np.asarray(X), np.asarray(y)), or a list of examples."
        )
    if isinstance(data, Mapping) or (isinstance(data, tuple | list) and _columns(data)):
        batch = as_batch(data if isinstance(data, Mapping) else tuple(data), target)
        _check_lengths(batch)
        return TensorSource(batch.inputs, batch.targets)
    if _map_style(data) and not isinstance(data, np.ndarray | Tensor | str) and not hasattr(data, "to_numpy"):
        return DatasetSource(data, target=target)
    raise TypeError(
        f"cannot read examples from {type(data).__name__}: give (X, y), a dict with a target column, "
        "a DataLoader or a map-style dataset."
    )


def _map_style(data: Any) -> bool:
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, IterableDataset)


def _check_loader(loader: DataLoader[Any]) -> None:
    if not _map_style(loader.dataset):
        raise TypeError("the loader's dataset is a stream; attribution needs a map-style dataset (len and []).")
    if loader.batch_sampler is None:
        raise TypeError("the loader has batch_size=None, so its rows are not examples: give a dataset of examples.")
    count, drawn = len(loader.dataset), len(loader.sampler)  # type: ignore[arg-type]
    if drawn != count:
        raise ValueError(
            f"the loader's sampler draws {drawn} of the {count} examples of its dataset: "
            "give those that were trained on, as torch.utils.data.Subset(dataset, positions)."
        )


def _columns(data: Sequence[Any]) -> bool:
    *inputs, targets = data if len(data) >= 2 else (None, None)
    return all(isinstance(column, Mapping) or _is_column(column) for column in inputs) and _is_column(targets)


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray | Tensor) or hasattr(value, "to_numpy")


def check_ids(ids: Sequence[Any] | Ids, count: int) -> Ids:
    """Ids as an array [count] of integers or strings; raises ValueError if one is repeated, missing or mixed."""
    listed = ids.tolist() if isinstance(ids, np.ndarray | Tensor) else ids
    values = [value.item() if isinstance(value, np.generic) else value for value in listed]
    if len(values) != count:
        raise ValueError(f"{len(values)} ids for {count} examples: give one id an example, in the data's order.")
    if any(value is None or value is pd.NA or value != value or value == "" for value in values):
        raise ValueError("an id is missing (None, NaN or empty): every example needs one.")
    if not (
        all(isinstance(v, str) for v in values) or all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    ):
        raise ValueError("ids must be all integers or all strings: convert them, for example with str.")
    seen: set[Any] = set()
    repeated = sorted({value for value in values if value in seen or seen.add(value)})  # type: ignore[func-returns-value]
    if repeated:
        raise ValueError(f"ids must be unique; repeated: {repeated[:5]}. Scores are aligned by id.")
    array = np.array(values) if values else np.arange(0)
    if array.dtype.kind not in "iuU":
        raise ValueError("integer ids must fit into 64 bits: give larger ones as strings.")
    return array


def _check_lengths(batch: Batch) -> None:
    lengths = {len(value) for value in [*tensors_of(batch.inputs), batch.targets]}
    if len(lengths) > 1:
        raise ValueError(f"columns of unequal length: {sorted(lengths)}; give one row an example in each.")


def _some(ids: Ids) -> str:
    return ", ".join(repr(identity) for identity in ids[:3].tolist()) + (", ..." if len(ids) > 3 else "")

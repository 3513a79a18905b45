"""Labels changed on purpose, so that it is known which are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from whence.batch import Batch
from whence.examples import Examples, Source, TensorSource

__all__ = ["Mislabelled", "mislabel"]


@dataclass(frozen=True)
class Mislabelled:
    """``examples`` with some labels wrong; ``flipped``, bool [train], says which; ``original``: what they were [n]."""

    examples: Examples
    flipped: xr.DataArray
    original: npt.NDArray[np.int64]


def mislabel(examples: Examples, share: float = 0.1, seed: int = 0) -> Mislabelled:
    """Give a ``share`` of the examples, at least one, another label that occurs among them, drawn uniformly.

    Which and to what hangs on ``seed`` and the number of examples only. Ids, inputs and how rows are shown stay.
    Raises ValueError for a share outside (0, 1), targets that are no classes, or fewer than two classes.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, for example 0.1, not {share}")
    targets = examples.targets()
    if targets.is_floating_point() or targets.dtype == torch.bool or targets.ndim != 1:
        raise ValueError(f"targets {targets.dtype} {tuple(targets.shape)} are no classes [n]; labels cannot be changed")
    original: npt.NDArray[np.int64] = targets.cpu().numpy().astype(np.int64)
    classes = np.unique(original)
    if len(classes) < 2:
        raise ValueError("all examples have one class; a wrong label needs another")
    generator = np.random.default_rng(seed)
    count = max(1, round(share * len(examples)))
    chosen = np.sort(generator.choice(len(examples), count, replace=False))
    labels = original.copy()
    place = np.searchsorted(classes, original[chosen])
    labels[chosen] = classes[(place + generator.integers(1, len(classes), size=count)) % len(classes)]
    flipped = xr.DataArray(
        labels != original,
        dims=("train",),
        coords={"train": examples.ids},
        name="flipped",
        attrs={"chosen": f"{count} of {len(examples)} labels, drawn with seed {seed}", "seed": seed},
    )
    return Mislabelled(_relabelled(examples, torch.from_numpy(labels).to(targets)), flipped, original)


@final
@dataclass(frozen=True)
class _Relabelled:
    """The inputs of a source with targets [n] of their own."""

    source: Source
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: npt.NDArray[np.int64]) -> Batch:
        return Batch(self.source.take(rows).inputs, self.targets[torch.from_numpy(np.ascontiguousarray(rows))])


def _relabelled(examples: Examples, targets: torch.Tensor) -> Examples:
    source, rows = examples.source, torch.from_numpy(examples.rows)
    if isinstance(source, TensorSource):
        whole = source.targets.clone()
        whole[rows] = targets.to(whole)
        return replace(examples, source=replace(source, targets=whole))
    whole = targets.new_zeros(len(source))
    whole[rows] = targets
    return replace(examples, source=_Relabelled(source, whole))

"""Refits as jobs: many at once where a refit can, finished ones on a shelf, so that a killed run repeats little."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.refit import AbstractRefit, Trained

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Shelf(Protocol):
    """Where finished pieces are kept by key (``execution.RunFolder.shelf`` is one)."""

    def done(self) -> Collection[str]: ...

    def put(self, key: str, arrays: Arrays) -> None: ...

    def get(self, key: str) -> Arrays: ...


@dataclass(frozen=True)
class MemoryShelf:
    """Keeps pieces in memory, for as long as the object lives."""

    pieces: dict[str, Arrays]

    def done(self) -> Collection[str]:
        return self.pieces.keys()

    def put(self, key: str, arrays: Arrays) -> None:
        self.pieces[key] = arrays

    def get(self, key: str) -> Arrays:
        return self.pieces[key]


@dataclass(frozen=True)
class Job:
    """One refit: its key on the shelf, the positions it leaves out (None: the control of its seed), and the seed."""

    key: str
    removed: npt.NDArray[np.int64] | None
    seed: int


def work(refit: AbstractRefit, objective: Objective, jobs: Sequence[Job], shelf: Shelf, mapper: AbstractMapper) -> None:
    """Do the jobs that the shelf does not hold, in chunks of at most ``refit.together``, and put each on the shelf."""
    kept = set(shelf.done())
    chunks = chunked([job for job in jobs if job.key not in kept], refit.together)
    if not chunks:
        return
    shared = refit.prepare(objective, mapper)
    for position, pieces in mapper.map(partial(_refitted, refit, objective, shared), chunks):
        for job, piece in zip(chunks[position], pieces, strict=True):
            shelf.put(job.key, piece)


def chunked(jobs: Sequence[Job], together: int) -> list[list[Job]]:
    """Jobs that can be done at once: of one seed, at most ``together``, in chunks of nearly one length; controls alone.

    Nearly one length, since the last chunk of a few would take nearly as long as a full one.
    """
    chunks: list[list[Job]] = []
    for (control, _), group in groupby(jobs, key=lambda job: (job.removed is None, job.seed)):
        mine = list(group)
        count = len(mine) if control else -(-len(mine) // together)
        edges = np.linspace(0, len(mine), count + 1).astype(int).tolist()
        chunks += [mine[start:stop] for start, stop in pairwise(edges)]
    return chunks


def _refitted(
    refit: AbstractRefit, objective: Objective, shared: Mapping[str, Tensor], chunk: Sequence[Job]
) -> list[Arrays]:
    removed = [torch.from_numpy(job.removed) for job in chunk if job.removed is not None]
    seed = chunk[0].seed
    with _full_float32():
        if removed:
            return [_arrays(found) for found in refit.refit_many(objective, shared, removed, seed)]
        return [_arrays(refit.control(objective, shared, seed))]


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32: by default cuDNN takes convolutions of float32 with 10 bits of mantissa, far above a refit's effect."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.set_float32_matmul_precision(products)


def _arrays(found: Trained) -> Arrays:
    return {
        "theta": found.theta.detach().cpu().numpy(),
        "gradient_norm": np.array(found.gradient_norm),
        "evaluations": np.array(float(found.evaluations)),
        "converged": np.array(found.converged),
    }

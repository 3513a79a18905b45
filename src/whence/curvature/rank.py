"""The sum of outer products of many rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

GRAM_ROWS, GRAM_BLOCKS = 1024, 6


def gram(pieces: Iterator[Tensor], like: Tensor) -> Tensor:
    """Σ xᵀx of rows [m, parameter] from the upper blocks alone, of many rows at once, for ``like`` [parameter]."""
    total = like.new_zeros(len(like), len(like))
    edges = [round(len(like) * k / GRAM_BLOCKS) for k in range(GRAM_BLOCKS + 1)]
    for piece in _stacked(pieces):
        for start, stop in itertools.pairwise(edges):
            total[start:stop, start:].addmm_(piece[:, start:stop].T, piece[:, start:])
    return torch.triu(total) + torch.triu(total, 1).T


def _stacked(pieces: Iterator[Tensor]) -> Iterator[Tensor]:
    """The same rows in fewer, larger pieces."""
    kept: list[Tensor] = []
    for piece in pieces:
        kept.append(piece)
        if sum(map(len, kept)) >= GRAM_ROWS:
            yield torch.cat(kept)
            kept = []
    if kept:
        yield torch.cat(kept)

"""How far the nearest training examples carry another label: a sign of a wrong one that asks no loss.

For each example the ten nearest others by cosine similarity in a layer, in blocks, so that n² numbers never stand in
memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NEAREST = 10
NUMBERS = 2**25
"""Similarities that are worked out at once."""


def nearest(
    embedding: Tensor, k: int = NEAREST, tell: Callable[[int, int], None] = lambda done, of: None
) -> npt.NDArray[np.int64]:
    """The ``k`` (at most n − 1) nearest other rows [n, k] of an embedding [n, d], nearest first; no order among ties.

    A row of zeros has similarity 0 with every other. ``tell(done, of)`` hears of finished rows.
    Raises ValueError for fewer than two rows.
    """
    count = len(embedding)
    if count < 2:
        raise ValueError(f"{count} examples have no neighbours")
    rows = embedding.detach().float()
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    size = max(1, min(count, NUMBERS // count))
    found = []
    for start in range(0, count, size):
        near = rows[start : start + size] @ rows.T
        own = torch.arange(len(near))
        near[own, own + start] = -torch.inf
        found.append(near.topk(min(k, count - 1), dim=1).indices)
        tell(min(start + size, count), count)
    return torch.cat(found).numpy()


def disagreement(
    neighbours: npt.NDArray[np.int64], label: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """For each row the share of its ``neighbours`` [n, k] with another label than its own, and their most frequent one.

    Of labels that are equally frequent the row's own counts first, then the smallest.
    """
    around = label[neighbours]
    share = (around != label[:, None]).mean(1).astype(np.float32)
    classes, numbered = np.unique(label, return_inverse=True)
    votes = np.zeros((len(label), len(classes)))
    np.add.at(votes, (np.arange(len(label))[:, None], numbered[neighbours]), 1.0)
    votes[np.arange(len(label)), numbered] += 0.5
    return share, classes[votes.argmax(1)].astype(np.int64)

"""Distances and similarities between embeddings: query [q, d] and train [n, d] give [q, n], in float64.

Work goes by blocks of training rows, so that a float32 embedding is never held in float64 as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

BLOCK_BYTES = 64 * 2**20


class Whitens(Protocol):
    """A covariance S that maps x to x L⁻ᵀ with S = L Lᵀ, where Mahalanobis distances are Euclidean."""

    def whiten(self, x: Tensor) -> Tensor: ...


def cosine_similarity(query: Tensor, train: Tensor) -> Tensor:
    """p·q / (‖p‖ ‖q‖) [q, n], from −1 to 1 (Brinkman and Larsson Hörkén 2018, Eq. 2.13).

    A zero vector has no direction: its similarity with any vector, itself included, is 0.
    Raises ValueError unless both are [rows, d] with the same d.
    """
    _check(query, train)
    asked = _directions(query.double())
    found = [asked @ _directions(block).T for block in blocks(train)]
    return torch.cat(found, 1).clamp(-1, 1) if found else asked.new_empty(len(query), 0)


def euclidean_distance(query: Tensor, train: Tensor) -> Tensor:
    """‖p − q‖ [q, n]; exactly 0 between equal vectors, as differences are taken first.

    Raises ValueError unless both are [rows, d] with the same d.
    """
    _check(query, train)
    asked = query.double()
    # the expansion |p|² − 2 p·q + |q|² would be faster, and wrong by the root of the rounding for close vectors
    found = [torch.cdist(asked, block, compute_mode="donot_use_mm_for_euclid_dist") for block in blocks(train)]
    return torch.cat(found, 1) if found else asked.new_empty(len(query), 0)


def mahalanobis_distance(query: Tensor, train: Tensor, spread: Whitens) -> Tensor:
    """√((p − q)ᵀ S⁻¹ (p − q)) [q, n] with S the covariance of ``spread`` (Mahalanobis 1936; ibid., Eq. 2.14).

    Raises ValueError unless both are [rows, d] with the same d, that of the spread.
    """
    _check(query, train)
    asked = spread.whiten(query)
    found = [euclidean_distance(asked, spread.whiten(block)) for block in blocks(train)]
    return torch.cat(found, 1) if found else asked.new_empty(len(query), 0)


def centroids(train: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(classes [c], their means [c, d] in float64) of embeddings [n, d] with labels [n]; classes in rising order.

    Raises ValueError unless there is one label a row, and at least one row.
    """
    if train.ndim != 2 or labels.shape != train.shape[:1] or len(train) == 0:
        raise ValueError(
            f"embeddings {tuple(train.shape)} with labels {tuple(labels.shape)}: give [n, d] and one label [n] a row."
        )
    classes, member = torch.unique(labels, return_inverse=True)
    sums = torch.zeros(len(classes), train.shape[1], dtype=torch.float64, device=train.device)
    start = 0
    for block in blocks(train):
        sums.index_add_(0, member[start : start + len(block)], block)
        start += len(block)
    return classes, sums / member.bincount(minlength=len(classes))[:, None]


def blocks(x: Tensor, size: int = BLOCK_BYTES) -> Iterator[Tensor]:
    """The rows of ``x`` [n, d] in order, in float64, in blocks of about ``size`` bytes."""
    step = max(1, size // (8 * max(1, x.shape[1])))
    for start in range(0, len(x), step):
        yield x[start : start + step].double()


def _directions(x: Tensor) -> Tensor:
    norms = x.norm(dim=1, keepdim=True)
    return torch.where(norms > 0, x / norms, torch.zeros_like(x))


def _check(query: Tensor, train: Tensor) -> None:
    if query.ndim != 2 or train.ndim != 2 or query.shape[1] != train.shape[1]:
        raise ValueError(
            f"embeddings of shape {tuple(query.shape)} and {tuple(train.shape)} cannot be compared: "
            "give [rows, d] twice, from the same layer."
        )

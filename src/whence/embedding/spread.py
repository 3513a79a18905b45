"""How embeddings scatter: a covariance that can be inverted, shrunk where it could not be.

The sample covariance S = XᵀX / (n − c) of n residuals X [n, d] about c means is singular for n − c < d, and wherever
a coordinate never changes or repeats others. It is then shrunk towards a multiple of the identity,

    S* = (1 − a)·S + a·μ·I,        μ = tr(S)/d

with a = min(β², δ²)/δ² of O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance
matrices", J. Multivariate Analysis 88 (2004), Eq. 14 and section 3.2, where with S₀ = XᵀX/n and μ₀ = tr(S₀)/d

    δ² = ‖S₀ − μ₀I‖²_F / d,        β² = (Σ_i ‖x_i‖⁴/n − ‖S₀‖²_F) / (n·d)

As λ_max ≤ tr(S) = d·μ, a ≥ d/κ keeps the condition number of S* below κ; a is no smaller than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import scipy.linalg.blas
import torch
from torch import Tensor

from whence.embedding.metrics import blocks, centroids
from whence.embedding.triangles import cholesky, square_norm
from whence.embedding.whitening import Axes, Factor, Whitening, whitening_of

# With float32 embeddings, whose coordinates err by 1e-7, directions of a smaller share are noise.
CONDITION = 1e8
LARGEST = 20_000
# An axis of a smaller share of λ_max is not orthogonal to the others in float64, and shrinkage covers it.
NEGLIGIBLE = 1e-10
# Residuals of a smaller share of the embeddings' squares are the rounding of their mean.
ROUNDING = 1e-24


@final
@dataclass(frozen=True)
class Spread:
    """A covariance of embeddings [n, d] ready for Mahalanobis distances.

    ``shrinkage``: a above, 0 if the sample covariance was fit to use; ``reason``: why it was shrunk, or empty;
    ``means``: c, about how many means it was taken: 1, or the number of classes for a pooled covariance.
    """

    whitening: Whitening
    shrinkage: float
    reason: str
    means: int

    @property
    def dimension(self) -> int:
        """d, the length of an embedding."""
        return self.whitening.dimension

    def whiten(self, x: Tensor) -> Tensor:
        """Embeddings [rows, d] where this spread is the identity: Mahalanobis distances are Euclidean there; float64.

        Raises ValueError for embeddings of another dimension.
        """
        if x.ndim != 2 or x.shape[1] != self.dimension:
            raise ValueError(
                f"embeddings of shape {tuple(x.shape)} in a spread of dimension {self.dimension}: "
                "give [rows, d] from the layer that the spread was fitted in."
            )
        found = torch.empty(x.shape, dtype=torch.float64)
        start = 0
        for block in blocks(x):
            found[start : start + len(block)] = self.whitening.whiten(block)
            start += len(block)
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All that it holds, as tensors by name."""
        record = torch.tensor([self.shrinkage, self.means], dtype=torch.float64)
        return {**self.whitening.tensors(), "record": record}


def spread_of(tensors: Mapping[str, Tensor]) -> Spread:
    """The spread whose ``tensors()`` these are; its reason is not kept."""
    shrinkage, means = tensors["record"].tolist()
    return Spread(whitening_of(tensors), shrinkage, "", int(means))


def fit_spread(train: Tensor, labels: Tensor | None = None) -> Spread:
    """The spread of embeddings [n, d]: about their mean or, with labels [n], about the means of their classes.

    The second is the pooled within-class covariance Σ_i (x_i − m_c(i))(x_i − m_c(i))ᵀ / (n − c). Shrunk only if it is
    singular or its condition number exceeds 1e8. Takes 2·8·d² bytes and O(n d²) for n > d/2, else O(n² d).

    Raises ValueError if no class has two examples, if the embeddings of each class are all equal or not finite, and
    for more than 20,000 dimensions with more than half as many examples.
    """
    given = torch.zeros(len(train), dtype=torch.long) if labels is None else labels.cpu()
    train = train.detach().cpu()
    classes, means = centroids(train, given)
    count, dimension = train.shape
    free = count - len(classes)
    if free < 1:
        raise ValueError(f"{count} embeddings in {len(classes)} classes have no spread: give two or more of a class.")
    raw = sum(float(block.square().sum()) for block in blocks(train))
    residuals = _Residuals(train, means, torch.searchsorted(classes, given), free, raw)
    if 2 * count <= dimension:
        return _by_axes(residuals)
    if dimension > LARGEST:
        raise ValueError(
            f"a covariance of {dimension} dimensions is too large here: ask for a layer of at most {LARGEST}."
        )
    return _by_factor(residuals)


@dataclass(frozen=True)
class _Residuals:
    """Embeddings [n, d], the means [c, d] and which is whose [n]; n − c degrees of freedom; Σ‖embedding‖²."""

    train: Tensor
    means: Tensor
    member: Tensor
    free: int
    raw: float

    def blocks(self) -> Iterator[npt.NDArray[np.float64]]:
        start = 0
        for block in blocks(self.train):
            yield (block - self.means[self.member[start : start + len(block)]]).numpy()
            start += len(block)

    def shrinkage(self, trace: float, square: float, fourth: float) -> tuple[float, float]:
        """(a, a·μ) from tr XᵀX, ‖XᵀX‖²_F and Σ‖x_i‖⁴."""
        count, dimension = self.train.shape
        if not np.isfinite(fourth):
            raise ValueError("the embeddings hold NaN or infinity, or overflow when squared: check model and inputs.")
        if trace <= ROUNDING * self.raw:
            raise ValueError("the embeddings of each class are all equal: ask for another layer or metric.")
        delta = (square - trace**2 / dimension) / count**2
        beta = (fourth / count - square / count**2) / count
        a = 1.0 if beta >= delta else max(beta / delta, min(1.0, dimension / CONDITION))
        return a, a * trace / (self.free * dimension)


def _by_axes(residuals: _Residuals) -> Spread:
    """Through XXᵀ [n, n], for n far below d: S is singular, so shrunk."""
    x, free, dimension = np.concatenate(list(residuals.blocks())), residuals.free, residuals.train.shape[1]
    gram = x @ x.T
    fourth = float(np.square(np.diag(gram)).sum())
    a, floor = residuals.shrinkage(float(np.trace(gram)), float(np.square(gram).sum()), fourth)
    values, vectors = np.linalg.eigh(gram)
    kept = values > NEGLIGIBLE * values[-1]
    axes = (vectors[:, kept] / np.sqrt(values[kept])).T @ x
    deviations = np.sqrt((1 - a) * values[kept] / free + floor)
    whitening = Axes(*(torch.from_numpy(part) for part in (axes, deviations, np.sqrt([floor]))))
    return Spread(whitening, a, _singular(free, dimension), len(residuals.means))


def _by_factor(residuals: _Residuals) -> Spread:
    """Through XᵀX [d, d] and its Cholesky factor."""
    free, dimension = residuals.free, residuals.train.shape[1]
    product, fourth = np.zeros((dimension, dimension), order="F"), 0.0
    for x in residuals.blocks():
        # the lower triangle only; x.T of rows in C order is what BLAS calls a matrix in columns
        product = scipy.linalg.blas.dsyrk(1.0, x.T, beta=1.0, c=product, lower=1, overwrite_c=1)
        fourth += float(np.square(np.square(x).sum(1)).sum())
    a, floor = residuals.shrinkage(float(np.trace(product)), square_norm(product), fourth)
    product /= free
    reason = _singular(free, dimension) if free < dimension else ""
    if not reason:
        upper, condition = cholesky(product.copy(order="F"))
        if upper is not None and condition <= CONDITION:
            return Spread(Factor(upper), 0.0, "", len(residuals.means))
        ill = "singular" if upper is None else f"of condition number {condition:.1g}"
        reason = f"the covariance of {dimension} dimensions is {ill}"
    product *= 1 - a
    product[np.diag_indices(dimension)] += floor
    upper, _ = cholesky(product)
    if upper is None:
        raise ValueError("the embeddings hold NaN or infinity: check the model and its inputs.")
    return Spread(Factor(upper), a, reason, len(residuals.means))


def _singular(free: int, dimension: int) -> str:
    return f"{free} degrees of freedom for {dimension} dimensions: the covariance is singular"

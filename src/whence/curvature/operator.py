"""Symmetric operators over all the data: sums, multiples and damping compose; nothing is inverted here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.mapping import AbstractMapper, SerialMapper

Surrogate: TypeAlias = Literal["gauss-newton", "sampled-gauss-newton", "ekfac"]


class AbstractOperator(ABC):
    """A symmetric matrix [parameter, parameter] known by its products."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of parameters."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device:
        """Where the products are taken."""
        return torch.device("cpu")

    @abstractmethod
    def matmat(self, v: Tensor) -> Tensor:
        """The products with the columns of v [parameter, k]."""

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        """The matrix itself, for small models."""
        return self.matmat(torch.eye(self.size, dtype=self.dtype, device=self.device))

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        """A positive semi-definite relative of this kind, for preconditioning; by default the operator itself."""
        return self

    def estimated(self, mapper: AbstractMapper | None = None) -> AbstractOperator:
        """The operator with what can be worked out once and kept as tensors in place; by default itself."""
        return self

    def diagonal(self) -> Tensor:
        """The diagonal [parameter]."""
        return self.dense().diagonal().clone()

    @property
    def examples(self) -> int:
        """How many examples the operator is a sum over; 0 if it is over none."""
        return 0

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        """An unbiased estimate of the operator from some of its examples; raises TypeError if it has none."""
        if self.examples:
            raise TypeError(f"{type(self).__name__} cannot be estimated from a sample of its examples")
        return self

    def damped(self, damping: float) -> AbstractOperator:
        """The operator + damping·I."""
        if damping < 0 or not np.isfinite(damping):
            raise ValueError(f"damping must be finite and not negative, not {damping}")
        if damping == 0:
            return self
        return self + Diagonal(torch.full((self.size,), float(damping), dtype=self.dtype, device=self.device))

    def __add__(self, other: AbstractOperator) -> AbstractOperator:
        return Sum(self, other)

    def __mul__(self, factor: float) -> AbstractOperator:
        return Scaled(self, float(factor))

    __rmul__ = __mul__


@final
@dataclass(frozen=True)
class Sum(AbstractOperator):
    """first + second."""

    first: AbstractOperator
    second: AbstractOperator

    def __post_init__(self) -> None:
        if self.first.size != self.second.size:
            raise ValueError(f"operators of {self.first.size} and {self.second.size} parameters cannot be added")

    @property
    def size(self) -> int:
        return self.first.size

    @property
    def dtype(self) -> torch.dtype:
        return torch.promote_types(self.first.dtype, self.second.dtype)

    @property
    def device(self) -> torch.device:
        return self.first.device

    @property
    def examples(self) -> int:
        return max(self.first.examples, self.second.examples)

    def matmat(self, v: Tensor) -> Tensor:
        return self.first.matmat(v) + self.second.matmat(v)

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        return self.first.dense(mapper) + self.second.dense(mapper)

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        return self.first.surrogate(kind) + self.second.surrogate(kind)

    def estimated(self, mapper: AbstractMapper | None = None) -> AbstractOperator:
        return self.first.estimated(mapper) + self.second.estimated(mapper)

    def diagonal(self) -> Tensor:
        return self.first.diagonal() + self.second.diagonal()

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return self.first.minibatch(positions) + self.second.minibatch(positions)


@final
@dataclass(frozen=True)
class Scaled(AbstractOperator):
    """factor · inner."""

    inner: AbstractOperator
    factor: float

    @property
    def size(self) -> int:
        return self.inner.size

    @property
    def dtype(self) -> torch.dtype:
        return self.inner.dtype

    @property
    def device(self) -> torch.device:
        return self.inner.device

    @property
    def examples(self) -> int:
        return self.inner.examples

    def matmat(self, v: Tensor) -> Tensor:
        return self.factor * self.inner.matmat(v)

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        return self.factor * self.inner.dense(mapper)

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        return Scaled(self.inner.surrogate(kind), self.factor)

    def estimated(self, mapper: AbstractMapper | None = None) -> AbstractOperator:
        return Scaled(self.inner.estimated(mapper), self.factor)

    def diagonal(self) -> Tensor:
        return self.factor * self.inner.diagonal()

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return Scaled(self.inner.minibatch(positions), self.factor)


@final
@dataclass(frozen=True, eq=False)
class Diagonal(AbstractOperator):
    """diag(values), such as a penalty or damping."""

    values: Tensor

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        return self.values.device

    def matmat(self, v: Tensor) -> Tensor:
        return self.values[:, None] * v

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        return torch.diag(self.values)

    def diagonal(self) -> Tensor:
        return self.values.clone()


@final
@dataclass(frozen=True, eq=False)
class Matrix(AbstractOperator):
    """A symmetric matrix that is already there; ``checkpoint`` says of which model, if that is known."""

    values: Tensor
    checkpoint: str | None = None

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        return self.values.device

    def matmat(self, v: Tensor) -> Tensor:
        return self.values @ v.to(self.values)

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        return self.values

    def diagonal(self) -> Tensor:
        return self.values.diagonal().clone()


def serial(mapper: AbstractMapper | None) -> AbstractMapper:
    """The mapper, or plain calls."""
    return mapper or SerialMapper()

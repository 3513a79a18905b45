"""Curvature that is worked out once, in passes over the data, and is then a few tensors; the ground of such curvature.

An estimate is a choice until it is used; then it is worked out and kept with the object. A solver that makes use of its
structure keeps the tensors in its own state as well, so that they are saved and no later solve sees the data.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from whence.curvature.of_objective import AbstractCurvature
from whence.curvature.operator import AbstractOperator, serial
from whence.mapping import AbstractMapper

KEPT = "_kept"


class AbstractEstimate(AbstractCurvature):
    """A frozen dataclass with an ``objective`` and choices; the values are float64, whatever the model's precision."""

    @abstractmethod
    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        """The operator as tensors, penalty included: the passes over the data."""

    @final
    def estimated(self, mapper: AbstractMapper | None = None) -> AbstractOperator:
        if KEPT not in self.__dict__:
            self.__dict__[KEPT] = self.work(serial(mapper))
        kept: AbstractOperator = self.__dict__[KEPT]
        return kept

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64

    def matmat(self, v: Tensor) -> Tensor:
        return self.estimated().matmat(v.double())

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        return self.estimated(mapper).dense()

    def diagonal(self) -> Tensor:
        return self.estimated().diagonal()


class Totals(dict[str, Tensor]):
    """Sums over examples by name; they add up over shards."""

    def __add__(self, other: Mapping[str, Tensor]) -> Totals:
        return Totals({name: value + other[name] for name, value in self.items()})

    def collect(self, name: str, value: Tensor) -> None:
        """Add in float64, in place: the sum of a wide layer is large, and a new one a batch leaves holes in memory."""
        if name in self:
            self[name] += value
        else:
            self[name] = value.to(torch.float64, copy=True)

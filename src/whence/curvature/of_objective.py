"""What all curvature of an objective has in common: its size, and where and how precisely its products are taken."""

from __future__ import annotations

import torch

from whence.curvature.operator import AbstractOperator
from whence.objective import Objective


class AbstractCurvature(AbstractOperator):
    """A frozen dataclass with an ``objective``."""

    objective: Objective

    @property
    def size(self) -> int:
        return len(self.objective.theta)

    @property
    def dtype(self) -> torch.dtype:
        return self.objective.theta.dtype

    @property
    def device(self) -> torch.device:
        return self.objective.theta.device

    @property
    def examples(self) -> int:
        return self.objective.count

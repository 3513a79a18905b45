"""The contract of linear solves A x = v with A = H + damping·I: prepare once a model, solve many times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper


class IndefiniteError(ValueError):
    """The operator has a negative eigenvalue, so the quadratic it should minimise has no minimum."""


@dataclass(frozen=True)
class State:
    """What a solver worked out once: tensors that can be saved, and what it learned of the spectrum."""

    tensors: Mapping[str, Tensor]
    lambda_min: float | None = None
    lambda_max: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Solution:
    """``value`` [parameter, k] with its certificate: per column the true relative residual ‖v − A x‖/‖v‖."""

    value: Tensor
    converged: npt.NDArray[np.bool_]
    residual: npt.NDArray[np.float64]
    iterations: int
    lambda_min: float | None = None
    lambda_max: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


class AbstractSolver(ABC):
    """Holds choices only; the work is the State and the Solution."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The solver's name, for the result's report."""

    @abstractmethod
    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        """Work that does not depend on the right-hand side; raises IndefiniteError where that shows already."""

    @abstractmethod
    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        """Solve for the columns of v [parameter, k] in float64; raises IndefiniteError, never a silent number."""


def indefinite(lambda_min: float, what: str = "smallest eigenvalue", error: float = 0.0) -> IndefiniteError:
    """The error that names the damping that would cure it; ``error``: how far below the true eigenvalue may lie."""
    more = float(f"{max((error - lambda_min) * 1.1, 1e-12):.2g}")
    return IndefiniteError(
        f"the damped curvature is indefinite: its {what} is {lambda_min:.3g}. Add at least {-lambda_min:.2g} to the "
        f"damping (for example damping += {more:.2g}), train further towards a minimum, or use Gauss-Newton curvature."
    )


def relative_residual(operator: AbstractOperator, x: Tensor, v: Tensor) -> npt.NDArray[np.float64]:
    """‖v − A x‖/‖v‖ per column, computed anew from the operator; 0 where v is 0."""
    left = v - operator.matmat(x.to(operator.dtype)).to(v)
    norm = v.norm(dim=0)
    ratio = torch.where(norm > 0, left.norm(dim=0) / norm.clamp(min=torch.finfo(v.dtype).tiny), left.norm(dim=0))
    found: npt.NDArray[np.float64] = ratio.double().cpu().numpy()
    return found

"""What a method returns: what it worked out once a model, and the scores of its queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from whence import results


@dataclass(frozen=True)
class Prepared:
    """What a method worked out once a model: tensors that can be saved, and a report for the results."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    solver: Mapping[str, Any] = field(default_factory=results.solver_report)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """Scores [query, train] (self-influence: [train]) with their certificate and, if solved, residuals a query."""

    values: Tensor
    solver: Mapping[str, Any]
    residual: npt.NDArray[np.float64] | None = None
    converged: npt.NDArray[np.bool_] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

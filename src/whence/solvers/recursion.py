"""The recursion of preconditioned conjugate gradients (Hestenes and Stiefel 1952), for many columns at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Apply: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Run:
    """``x`` [parameter, k] after ``iterations`` steps; ``low`` and ``high``: the extreme curvatures pᵀAp/pᵀp seen.

    ``low`` ≤ 0 shows that A has no minimum, and x is then of no use.
    """

    x: Tensor
    iterations: int
    low: float
    high: float


def conjugate_gradients(
    matmat: Apply, precondition: Apply, v: Tensor, tolerance: float, max_iterations: int, start: Tensor | None = None
) -> Run:
    """Minimise ½xᵀAx − vᵀx in float64 from x = 0 or ``start``; each column stops when its own residual is small enough.

    Raises ValueError if a product is NaN or infinite.
    """
    x = torch.zeros_like(v) if start is None else start.clone()
    r = v.clone() if start is None else v - matmat(start)
    z = precondition(r)
    p, rho = z.clone(), (r * z).sum(0)
    goal = tolerance * v.norm(dim=0)
    active = r.norm(dim=0) > goal
    low, high, iterations = float("inf"), float("-inf"), 0
    while bool(active.any()) and iterations < max_iterations:
        columns = active.nonzero()[:, 0]
        direction = p[:, columns]
        product = matmat(direction)
        curvature = (direction * product).sum(0)
        rayleigh = curvature / direction.square().sum(0)
        low, high = min(low, float(rayleigh.min())), max(high, float(rayleigh.max()))
        if not bool(torch.isfinite(curvature).all()):
            raise ValueError("a Hessian-vector product is NaN or infinite: the loss is not twice differentiable here")
        if low <= 0:
            break
        step = rho[columns] / curvature
        x[:, columns] += step * direction
        r[:, columns] -= step * product
        iterations += 1
        z = precondition(r[:, columns])
        fresh = (r[:, columns] * z).sum(0)
        p[:, columns] = z + (fresh / rho[columns]) * direction
        rho[columns] = fresh
        active = active & (r.norm(dim=0) > goal)
    return Run(x, iterations, low, high)

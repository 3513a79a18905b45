"""Preconditioned L-BFGS with a line search that still works where the value no longer resolves the descent.

The inverse Hessian starts from a fixed preconditioner (a factor of the curvature at one point, which is exact there)
and is corrected by the last ``memory`` steps (Nocedal and Wright 2006, Algorithm 7.4). Near the minimum differences of
the value drown in rounding, so a step is also accepted by the approximate Wolfe condition on slopes alone (Hager and
Zhang 2005, Eq. 4.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from whence.gradients.functional import Point

Precondition: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Descent:
    """Where a descent stopped: θ [parameter], the last gradient's norm, gradients spent, whether the goal was met."""

    theta: Tensor
    gradient_norm: float
    evaluations: int
    converged: bool


def descend(
    evaluate: Callable[[Tensor], Point],
    start: tuple[Tensor, Point],
    precondition: Precondition,
    tolerance: float,
    max_evaluations: int,
    refresh: Callable[[Tensor, int], Precondition | None] = lambda theta, iteration: None,
) -> Descent:
    """Go down from ``start`` (θ and the point there) until ‖∇‖ ≤ ``tolerance`` or the budget is spent.

    ``refresh(θ, iteration)`` may return a new preconditioner, or None to keep the old one.
    """
    theta, point = start
    memory = _Memory()
    spent, iteration = 0, 0
    while float(point.gradient.norm()) > tolerance and spent < max_evaluations:
        precondition = (refresh(theta, iteration) if iteration else None) or precondition
        direction = -memory.apply(point.gradient, precondition)
        if float(direction @ point.gradient) >= 0:
            memory = _Memory()
            direction = -precondition(point.gradient)
        found, used = _search(evaluate, theta, point, direction, max_evaluations - spent)
        spent += used
        if found is None:
            if not memory.pairs:
                break
            memory = _Memory()
            continue
        memory.learn(found[0] - theta, found[1].gradient - point.gradient)
        theta, point = found
        iteration += 1
    norm = float(point.gradient.norm())
    return Descent(theta, norm, spent, norm <= tolerance)


class _Memory:
    """The last steps s and changes of gradient y."""

    def __init__(self, size: int = 30) -> None:
        self.pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=size)

    def learn(self, s: Tensor, y: Tensor) -> None:
        curvature = float(s @ y)
        if curvature > 1e-12 * float(s.norm() * y.norm()):
            self.pairs.append((s, y, 1.0 / curvature))

    def apply(self, gradient: Tensor, precondition: Precondition) -> Tensor:
        """The two-loop recursion around the preconditioner."""
        q, shares = gradient.clone(), []
        for s, y, rho in reversed(self.pairs):
            share = rho * float(s @ q)
            shares.append(share)
            q -= share * y
        r = precondition(q)
        for (s, y, rho), share in zip(self.pairs, reversed(shares), strict=True):
            r = r + (share - rho * float(y @ r)) * s
        return r


def _search(
    evaluate: Callable[[Tensor], Point], theta: Tensor, point: Point, direction: Tensor, budget: int
) -> tuple[tuple[Tensor, Point] | None, int]:
    slope = float(direction @ point.gradient)
    noise = 64 * torch.finfo(theta.dtype).eps * max(1.0, abs(point.value))
    step = 1.0
    for used in range(1, min(budget, 30) + 1):
        candidate = theta + step * direction
        there = evaluate(candidate)
        new_slope = float(direction @ there.gradient)
        decreased = -step * slope > noise and there.value <= point.value + 1e-4 * step * slope
        flat = there.value <= point.value + noise and new_slope <= -0.8 * slope
        if bool(torch.isfinite(there.gradient).all()) and (decreased or flat):
            return (candidate, there), used
        # the minimiser of the parabola through both slopes where it is sensible, else half the step
        parabola = step * slope / (slope - new_slope) if new_slope > slope else 0.5 * step
        step = min(max(parabola, 0.1 * step), 0.5 * step)
    return None, min(budget, 30)

"""LiSSA: the inverse as a Neumann series over sampled Hessians (Agarwal et al. 2017; Koh and Liang 2017, section 3).

    x_0 = v,   x_t = v + x_{t−1} − (1/scale)·A_s x_{t−1},   A⁻¹v ≈ x_T/scale, averaged over repeats

A_s is A over a fresh minibatch and contains the damping. (In Koh and Liang's code damping multiplies x in scaled
units; here it means the same as for every other solver.)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator
from whence.mapping import AbstractMapper
from whence.solvers.solver import AbstractSolver, Solution, State, indefinite, relative_residual
from whence.solvers.spectrum import Extremes, extremes

BLOW_UP = 1e6


@final
@dataclass(frozen=True)
class LiSSA(AbstractSolver):
    """``depth`` steps on minibatches of ``batch`` examples, the mean of ``repeats`` runs.

    Where a minibatch holds all examples one run is made, since the others would be the same.

    ``scale``: must exceed the largest eigenvalue of every sampled A_s, else the series diverges; by default it is
    found by power iteration (Lanczos) on the whole operator and on eight minibatches, with a margin of a fifth.
    ``tolerance``: the relative residual below which the result counts as converged.
    """

    depth: int = 2000
    batch: int = 64
    repeats: int = 4
    scale: float | None = None
    tolerance: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("depth", "batch", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.scale is not None and not self.scale > 0:
            raise ValueError(f"scale must be positive, not {self.scale}")

    @property
    def name(self) -> str:
        return "LiSSA"

    def prepare(self, operator: AbstractOperator, mapper: AbstractMapper | None = None) -> State:
        whole = extremes(operator, 30)
        if whole.surely_negative:
            raise indefinite(whole.lambda_min, "smallest eigenvalue (Lanczos)", whole.error_min)
        scale = self.scale or 1.2 * max(whole.lambda_max, self._largest_sampled(operator))
        needed = scale / max(whole.lambda_min, 1e-300) * np.log(1 / self.tolerance)
        notes = {"scale": scale, "depth_that_the_spectrum_asks_for": float(min(needed, 1e15))}
        return State({"scale": torch.tensor([scale])}, whole.lambda_min, whole.lambda_max, notes)

    def solve(self, operator: AbstractOperator, state: State, v: Tensor) -> Solution:
        v = v.double()
        scale = float(state.tensors["scale"])
        generator = np.random.default_rng(self.seed)
        total = torch.zeros_like(v)
        repeats = 1 if self.batch >= operator.examples else self.repeats  # nothing is drawn: all would be the same
        for repeat in range(repeats):
            x = v.clone()
            for step in range(self.depth):
                sampled = operator.minibatch(self._draw(operator, generator))
                x = v + x - sampled.matmat(x.to(operator.dtype)).double() / scale
                if step % 50 == 0 or step == self.depth - 1:
                    self._stop_if_diverged(x, v, scale, repeat, step)
            total += x / scale
        value = total / repeats
        residual = relative_residual(operator, value, v)
        converged = np.isfinite(residual) & (residual <= self.tolerance)
        return Solution(
            value, converged, residual, self.depth * repeats, state.lambda_min, state.lambda_max, state.notes
        )

    def _draw(self, operator: AbstractOperator, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        if self.batch >= operator.examples:
            return np.arange(operator.examples)
        return np.sort(generator.choice(operator.examples, self.batch, replace=False))

    def _largest_sampled(self, operator: AbstractOperator) -> float:
        if self.batch >= operator.examples:
            return 0.0
        generator = np.random.default_rng(self.seed + 1)
        drawn = [operator.minibatch(self._draw(operator, generator)) for _ in range(8)]
        found: list[Extremes] = [extremes(one, 10, largest_within=0.05) for one in drawn]
        return max(one.lambda_max for one in found)

    def _stop_if_diverged(self, x: Tensor, v: Tensor, scale: float, repeat: int, step: int) -> None:
        growth = float((x.norm(dim=0) / v.norm(dim=0).clamp(min=1e-300)).max())
        if np.isfinite(growth) and growth < BLOW_UP * max(1.0, scale):
            return
        if self.scale is None:
            warnings.warn("a minibatch's curvature exceeded the scale that was found", RuntimeWarning, stacklevel=4)
        raise ValueError(
            f"LiSSA diverged in repeat {repeat + 1} after {step + 1} steps: scale {scale:.3g} is below the largest "
            f"eigenvalue of a minibatch's Hessian. Use scale={4 * scale:.3g}, a larger batch, or ConjugateGradient."
        )

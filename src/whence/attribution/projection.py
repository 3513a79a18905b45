"""Random projections of gradients to a few dimensions, drawn from a seed block after block, and what solves there.

P [parameter, dimension] has independent entries of mean 0 and variance 1/dimension, so that E[P Pᵀ] = I and inner
products are kept on average (Johnson and Lindenstrauss 1984; with random signs Achlioptas 2003). It hangs on the seed,
the size and the dimension alone, not on how the data is cut; a matrix that is large is never there as a whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

import numpy as np
import torch
from torch import Tensor

from whence.curvature.operator import Matrix
from whence.solvers.dense import Dense
from whence.solvers.solver import IndefiniteError, State

Kind: TypeAlias = Literal["rademacher", "gaussian"]
BLOCK_BYTES = 2**26
NEARLY_SINGULAR = 1e7
HELD_BYTES = 2**29
"""Up to this size the matrix is drawn once a pass over the data, above it once a batch."""


@final
@dataclass(frozen=True)
class Projection:
    """P for ``size`` parameters, by random signs (``"rademacher"``) or normal numbers (``"gaussian"``)."""

    size: int
    dimension: int
    seed: int
    kind: Kind = "rademacher"

    def down(self, pieces: Iterable[tuple[slice, Tensor]]) -> Iterator[Tensor]:
        """Rows [batch, parameter] as rows·P [batch, dimension] in float64, piece by piece."""
        held: list[tuple[slice, Tensor]] | None = None
        for _, rows in pieces:
            if held is None and 4 * self.size * self.dimension <= HELD_BYTES:
                held = list(self._blocks(rows))
            found = torch.zeros(len(rows), self.dimension, dtype=torch.float64, device=rows.device)
            for window, block in held if held is not None else self._blocks(rows):
                found += rows[:, window] @ block
            yield found

    def up(self, v: Tensor) -> Tensor:
        """P·v [parameter, k] for v [dimension, k]."""
        return torch.cat([block @ v for _, block in self._blocks(v)])

    def gram(self, weights: Tensor) -> Tensor:
        """Pᵀ diag(weights) P [dimension, dimension] in float64 for weights [parameter], such as a penalty."""
        found = torch.zeros(self.dimension, self.dimension, dtype=torch.float64)
        for window, block in self._blocks(weights.double().cpu()):
            found += block.T @ (weights[window].double().cpu()[:, None] * block)
        return found

    def _blocks(self, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """P in blocks of rows; each has a seed of its own, so that it can be drawn alone."""
        height = max(1, BLOCK_BYTES // (4 * self.dimension))
        for number, start in enumerate(range(0, self.size, height)):
            stop = min(start + height, self.size)
            seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)[0] >> 1)
            yield slice(start, stop), self._drawn(stop - start, seed).to(like)

    def _drawn(self, height: int, seed: int) -> Tensor:
        block = torch.empty(height, self.dimension)
        generator = torch.Generator().manual_seed(seed)
        if self.kind == "gaussian":
            block.normal_(generator=generator)
        else:
            block.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
        return block.mul_(self.dimension**-0.5)


def check_projection(dimension: int, kind: str) -> None:
    """Raise ValueError for fewer than one dimension or another kind of projection."""
    if dimension < 1:
        raise ValueError(f"dimension must be at least 1, not {dimension}")
    if kind not in get_args(Kind):
        raise ValueError(f"projection must be one of {list(get_args(Kind))}, not {kind!r}")


def factorised(gram: Tensor, ridge: float, method: str, sizes: tuple[int, int]) -> State:
    """The Cholesky factor of gram + ridge·I [dimension, dimension] in float64, ``gram`` of projected gradients.

    ``sizes``: numbers of parameters and examples. Warns where the matrix is nearly singular: at a condition number
    above 1e7, or without a ridge at a dimension above half of either size; the directions that gradients hardly take
    then rule the scores. Raises ValueError where it is singular.
    """
    dimension, remedy = len(gram), "lower the dimension, or add a ridge"
    try:
        eye = torch.eye(dimension, dtype=torch.float64)
        state = Dense(largest=dimension).prepare(Matrix(gram + ridge * eye))
    except IndefiniteError as error:
        raise ValueError(
            f"{method}: the projected gradients do not span {dimension} dimensions, so their Gram matrix is singular "
            f"(fewer examples, parameters or outputs than dimensions): {remedy}."
        ) from error
    if state.lambda_min is None or state.lambda_max is None:
        raise RuntimeError("the dense solver did not report its eigenvalues")
    condition = state.lambda_max / state.lambda_min
    if condition > NEARLY_SINGULAR or (ridge == 0 and 2 * dimension > min(sizes)):
        warnings.warn(
            f"{method}: in {dimension} dimensions, for {sizes[0]} parameters and {sizes[1]} examples, the Gram matrix "
            f"of the projected gradients is nearly singular (condition number {condition:.1e}); directions that hardly "
            f"any gradient takes rule the scores: {remedy}.",
            RuntimeWarning,
            stacklevel=4,
        )
    return State(state.tensors, state.lambda_min, state.lambda_max, {"condition_number": condition})

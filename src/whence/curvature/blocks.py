"""Block-diagonal curvature: the Gauss-Newton matrix or the Hessian within each layer, nothing between layers.

    blockdiag over layers l of  w Σ_i J_{i,l}ᵀ A_i J_{i,l}   or   w Σ_i ∂²ℓ_i/∂θ_l²,       + diag(λ), the penalty

It costs Σ_l p_l² numbers instead of p². KFAC and EKFAC approximate its blocks. A block of the Hessian may be indefinite
where the whole is not, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature.estimate import AbstractEstimate, Totals
from whence.curvature.hessian import many_at_once, second_derivatives
from whence.curvature.layer_damping import check_layer_damping, layer_damping
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.curvature.output_gradients import OutputGradients, fisher_rows
from whence.curvature.structured import DenseBlocks
from whence.examples import Examples
from whence.gradients import functional, rows
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.parameters import Layout
from whence.task import AbstractTask

Groups: TypeAlias = tuple[tuple[str, ...], ...]


@final
@dataclass(frozen=True, eq=False)
class BlockDiagonal(AbstractEstimate):
    """``of``: whose blocks. ``by``: ``"layer"``: the parameters that one module holds; ``"parameter"``: each tensor by
    itself; or prefixes of names, a block each (``["encoder", "head"]``), that cover every studied parameter once.
    ``layer_damping``: of blocks of the Gauss-Newton matrix (:mod:`whence.curvature.layer_damping`).
    """

    objective: Objective
    of: Literal["gauss-newton", "hessian"] = "gauss-newton"
    by: Literal["layer", "parameter"] | Sequence[str] = "layer"
    layer_damping: float = 0.0

    def __post_init__(self) -> None:
        if self.of not in ("gauss-newton", "hessian"):
            raise ValueError(f"of must be 'gauss-newton' or 'hessian', not {self.of!r}")
        groups_of(self.objective.task.layout, self.by)
        check_layer_damping(self.layer_damping)
        if self.layer_damping and self.of == "hessian":
            raise ValueError(
                "layer_damping is a fraction of a block's mean eigenvalue, which may be negative for the Hessian: take "
                "of='gauss-newton' or damp the whole operator"
            )

    def work(self, mapper: AbstractMapper) -> AbstractOperator:
        o = self.objective
        groups = groups_of(o.task.layout, self.by)
        if self.of == "hessian":
            part = partial(_hessians, o.task, o.theta, o.batch_size, groups)
        else:
            part = partial(_gauss_newtons, o.task, o.theta, rows.way_for(o.task, o.theta, o.train), groups)
        found = mapper.sum(part, o.train.shards(mapper.shards))
        places = tuple(place.to(o.theta.device) for place in places_of(o.task.layout, groups))
        matrices = tuple(o.weight * found[str(number)] for number in range(len(groups)))
        blocks = DenseBlocks(len(o.theta), places, matrices)
        return blocks + Diagonal(o.decay.double() + layer_damping(blocks, self.layer_damping))

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return replace(self, objective=self.objective.sample(positions))


def groups_of(layout: Layout, by: Literal["layer", "parameter"] | Sequence[str]) -> Groups:
    """The names of each block's parameters; ValueError unless every name is in one block."""
    if by == "parameter":
        return tuple((name,) for name in layout.names)
    if isinstance(by, str) and by != "layer":
        raise ValueError(f"by must be 'layer', 'parameter' or a list of prefixes of parameter names, not {by!r}")
    prefixes = list(dict.fromkeys(name.rpartition(".")[0] for name in layout.names)) if by == "layer" else list(by)
    found: dict[str, list[str]] = {prefix: [] for prefix in prefixes}
    for name in layout.names:
        under = [name.rpartition(".")[0]] if by == "layer" else [p for p in prefixes if f"{name}.".startswith(f"{p}.")]
        if len(under) != 1:
            raise ValueError(
                f"{name} lies under {under or 'none of the prefixes'}: blocks must cover each parameter once."
            )
        found[under[0]].append(name)
    idle = [prefix for prefix, names in found.items() if not names]
    if idle:
        raise ValueError(f"no studied parameter lies under {idle}: name some of {list(layout.names)}")
    return tuple(tuple(names) for names in found.values())


def places_of(layout: Layout, groups: Groups) -> list[Tensor]:
    """Where each block's parameters lie in the vector."""
    slices = layout.slices
    return [
        torch.cat([torch.arange(slices[name].start, slices[name].stop, device="cpu") for name in names])
        for names in groups
    ]


def _gauss_newtons(task: AbstractTask, theta: Tensor, way: rows.Way, groups: Groups, examples: Examples) -> Totals:
    sums, places = Totals(), places_of(task.layout, groups)
    for piece in fisher_rows(task, theta, examples, OutputGradients(), way):
        for number, place in enumerate(places):
            own = piece[:, place]
            sums.collect(str(number), own.T @ own)
    return sums


def _hessians(task: AbstractTask, theta: Tensor, batch_size: int, groups: Groups, examples: Examples) -> Totals:
    sums, together = Totals(), many_at_once(task)
    for _, batch in examples.batches(batch_size):
        with torch.enable_grad():
            named = {name: value.clone().requires_grad_() for name, value in task.layout.unflatten(theta).items()}
            total = functional.loss_of(task, task.predict_named(named, batch), batch).sum()
            gradients = dict(
                zip(
                    named,
                    torch.autograd.grad(total, list(named.values()), create_graph=True, materialize_grads=True),
                    strict=True,
                )
            )
        for number, names in enumerate(groups):
            own = [named[name] for name in names]
            strips = [_strip(gradients[name], own, together) for name in names]
            matrix = torch.cat(strips)
            sums.collect(str(number), 0.5 * (matrix + matrix.T))
    return sums


def _strip(gradient: Tensor, pieces: list[Tensor], together: bool) -> Tensor:
    """The rows of a block that belong to one of its parameters; 0 where the loss is linear in it."""
    if not gradient.requires_grad:
        return gradient.new_zeros(gradient.numel(), sum(piece.numel() for piece in pieces))
    units = torch.eye(gradient.numel(), dtype=gradient.dtype, device=gradient.device)
    return second_derivatives(gradient.reshape(-1), pieces, units, together)

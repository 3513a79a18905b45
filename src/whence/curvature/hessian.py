"""The Hessian of an objective: w Σ_i ∇²ℓ_i + diag(λ), with w = 1/n (mean) or 1 (sum)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from whence.curvature.chain import chain_of
from whence.curvature.chain_rows import add_rows
from whence.curvature.gauss_newton import GaussNewton
from whence.curvature.of_objective import AbstractCurvature
from whence.curvature.operator import AbstractOperator, Surrogate, serial
from whence.examples import Examples
from whence.gradients import functional
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BLOCK, COLUMNS = 256, 8
"""Rows of a matrix, and columns of a product, that go together where they can: memory grows with them."""
CHAIN_BATCH, PROBED = 64, 2


@final
@dataclass(frozen=True, eq=False)
class Hessian(AbstractCurvature):
    """Exact Hessian-vector products by double backward (Pearlmutter 1994), penalty included."""

    objective: Objective

    def matmat(self, v: Tensor) -> Tensor:
        o = self.objective
        product = o.weight * _loss_products(o.task, o.theta, o.batch_size, v.to(o.theta), o.train)
        return product + o.decay[:, None] * v.to(o.theta)

    def dense(self, mapper: AbstractMapper | None = None) -> Tensor:
        o, mapper = self.objective, serial(mapper)
        count = mapper.shards
        # A row costs the same for one image as for a batch, so a single batch is shared out by rows.
        single = o.count <= o.batch_size
        pieces = [(o.train, k, count) for k in range(count)] if single else [(s, 0, 1) for s in o.train.shards(count)]
        matrix = o.weight * mapper.sum(partial(_loss_matrix, o.task, o.theta, o.batch_size), pieces)
        return matrix + torch.diag(o.decay)  # type: ignore[no-any-return]

    def surrogate(self, kind: Surrogate = "gauss-newton") -> AbstractOperator:
        return GaussNewton(self.objective).surrogate(kind)

    def minibatch(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return replace(self, objective=self.objective.sample(positions))


def _loss_products(task: AbstractTask, theta: Tensor, batch_size: int, v: Tensor, examples: Examples) -> Tensor:
    """Σ_i ∇²ℓ_i v for the columns of v [parameter, k]; the gradient's graph is built once a batch."""
    found = torch.zeros_like(v)
    point = theta.detach().requires_grad_(True)
    together = v.shape[1] > 1 and many_at_once(task)
    for _, batch in examples.batches(batch_size):
        with torch.enable_grad():
            total = functional.values(task, point, batch, "loss").sum()
            (gradient,) = torch.autograd.grad(total, point, create_graph=True)
        if not gradient.requires_grad:
            continue  # a loss that is linear in the parameters has no second derivative
        if together:
            for start in range(0, v.shape[1], COLUMNS):
                part = slice(start, start + COLUMNS)
                (block,) = torch.autograd.grad(gradient, point, v[:, part].T, retain_graph=True, is_grads_batched=True)
                found[:, part] += block.T
            continue
        for column in range(v.shape[1]):
            (product,) = torch.autograd.grad(gradient, point, v[:, column].contiguous(), retain_graph=True)
            found[:, column] += product
    return found


def _loss_matrix(task: AbstractTask, theta: Tensor, batch_size: int, piece: tuple[Examples, int, int]) -> Tensor:
    """Σ_i ∇²ℓ_i [parameter, parameter] over (examples, first, step): each layer's rows first, first + step, ...

    Row after row above the diagonal only: a row of one layer's parameter is differentiated by the parameters from there
    on, so that the passes through all earlier layers are left out; products with unit vectors would go through every
    layer for every row. At a chain of layers many rows go together (:mod:`whence.curvature.chain_rows`).
    """
    examples, first, step = piece
    chained = _chained(task, theta, examples)
    upper = theta.new_zeros(len(theta), len(theta))
    slices, together = list(task.layout.slices.values()), many_at_once(task)
    for _, batch in examples.batches(min(batch_size, CHAIN_BATCH) if chained else batch_size):
        chain = chain_of(task, theta, batch) if chained else None
        if chain is not None:
            add_rows(upper, task.layout, chain, first, step)
            continue
        with torch.enable_grad():
            named = {name: value.clone().requires_grad_() for name, value in task.layout.unflatten(theta).items()}
            total = functional.loss_of(task, task.predict_named(named, batch), batch).sum()
            pieces = list(named.values())
            gradients = torch.autograd.grad(total, pieces, create_graph=True, materialize_grads=True)
        for number, gradient in enumerate(gradients):
            if gradient.requires_grad and first < gradient.numel():
                place, own = slices[number], slice(first, None, step)
                units = torch.eye(gradient.numel(), dtype=theta.dtype, device=theta.device)[own]
                rows = second_derivatives(gradient.reshape(-1), pieces[number:], units, together)
                upper[place.start : place.stop, place.start :][own] += rows
    return torch.triu(upper) + torch.triu(upper, 1).T


def _chained(task: AbstractTask, theta: Tensor, examples: Examples) -> bool:
    """Whether the model is a chain whose rows, for a few examples, give the product that autograd gives."""
    few = examples[np.arange(min(PROBED, len(examples)))]
    upper = theta.new_zeros(len(theta), len(theta))
    try:
        chain = chain_of(task, theta, few.take(slice(None)))
        if chain is None:
            return False
        add_rows(upper, task.layout, chain, 0, 1)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        return False  # an operation between two layers that cannot be differentiated many times at once
    vector = torch.arange(1, len(theta) + 1, device=theta.device).to(theta).cos()[:, None]
    expected = _loss_products(task, theta, len(few), vector, few)
    upper.triu_()  # in place: a second matrix of this size may not fit
    error_of = upper @ vector + upper.T @ vector - upper.diagonal()[:, None] * vector - expected
    tolerance = (1e-9 if theta.dtype == torch.float64 else 1e-4) * float(expected.abs().max().clamp(min=1e-6))
    return float(error_of.abs().max()) <= tolerance


def second_derivatives(gradient: Tensor, pieces: list[Tensor], units: Tensor, together: bool) -> Tensor:
    """∂(unit · gradient)/∂pieces for the units [k, size of gradient]: [k, size of pieces]."""
    rows = []
    for block in torch.split(units, BLOCK) if together else units:
        found = torch.autograd.grad(
            gradient, pieces, block, retain_graph=True, is_grads_batched=together, materialize_grads=True
        )
        count = len(block) if together else 1
        pulled = [piece.reshape(-1, like.numel()) for piece, like in zip(found, pieces, strict=True)]
        # the zeros of what is never used come once, not once a unit
        rows.append(torch.cat([piece.expand(count, -1) for piece in pulled], 1))
    return torch.cat(rows)


def many_at_once(task: AbstractTask) -> bool:
    """Whether products go together: vmap over convolutions is slower than a loop on a CPU."""
    return not any(isinstance(layer, CONVOLUTIONS) for layer in task.module.modules())

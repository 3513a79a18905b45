"""Damping by layer: the dense matrix gains a multiple of each block's mean eigenvalue, and its inverse stays exact."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

import cases
import whence as wh
from problems import problem
from whence.curvature.choice import BY_LAYER, Name
from whence.mapping import AbstractMapper
from whence.objective import Objective

# parameters that no plain layer holds, which KFAC and EKFAC leave on a diagonal
WITHOUT_BLOCK = {"bilinear": {"form", "norm.weight", "norm.bias"}, "conv": {"2.weight", "2.bias"}}
NAMES = ["mlp", "shared", "dict", *WITHOUT_BLOCK]


def made(kind: Any, o: Objective, fraction: float = 0.1) -> Any:
    return wh.Approximation(kind, layer_damping=fraction).of(o)


def by_layer(kind: str, name: str, o: Objective, loss_part: Tensor, fraction: float) -> Tensor:
    """What each parameter should gain, from the eigenvalues of each module's part of the dense matrix."""
    layout = o.task.layout
    apart = WITHOUT_BLOCK.get(name, set()) if kind != "block-diagonal" else set()
    owner = np.repeat([layer.rpartition(".")[0] for layer in layout.names], layout.sizes)
    covered = np.repeat([layer not in apart for layer in layout.names], layout.sizes)
    found = torch.zeros(len(owner), dtype=torch.float64)
    for layer in set(owner[covered]):
        place = torch.from_numpy(np.flatnonzero((owner == layer) & covered))
        found[place] = fraction * torch.linalg.eigvalsh(loss_part[place[:, None], place]).mean()
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", BY_LAYER)
def test_each_block_gains_a_fraction_of_its_mean_eigenvalue(kind: str, name: str) -> None:
    o = problem(name).objective
    plain = made(kind, o, 0.0).dense()
    gained = by_layer(kind, name, o, plain - torch.diag(o.decay), 0.1)
    operator, expected = made(kind, o), plain + torch.diag(gained)
    v = torch.randn(operator.size, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    close: dict[str, float] = {"rtol": 1e-9, "atol": 1e-10 * float(expected.abs().max())}
    torch.testing.assert_close(operator.dense(), expected, **close)
    torch.testing.assert_close(operator.matmat(v), expected @ v, **close)
    torch.testing.assert_close(operator.diagonal(), expected.diagonal(), **close)
    assert bool(gained.any()) or name == "bilinear"  # no layer of it has a Kronecker block


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", BY_LAYER)
def test_the_inverse_by_structure_is_exact_in_one_step(kind: str, name: str) -> None:
    operator, solver = made(kind, problem(name).objective).damped(0.01), wh.Factored()
    v = torch.randn(operator.size, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = solver.solve(operator, solver.prepare(operator), v)
    assert found.iterations == 1
    assert (found.residual < 1e-11).all()
    torch.testing.assert_close(found.value, torch.linalg.solve(operator.dense(), v), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", BY_LAYER)
def test_it_may_be_all_the_damping_there_is(kind: Any) -> None:
    """Without a penalty the curvature is singular; Grosse et al. damp by layer alone."""
    p = problem("mlp")
    free = wh.Classification(copy.deepcopy(p.task.module).requires_grad_(True))
    method = wh.InfluenceFunction(wh.Factored(), 0.0, wh.Approximation(kind, layer_damping=0.1))
    scores = method.fit(free, p.train).attribute(p.queries)
    assert scores.attrs["solver"]["converged"] is True
    assert np.isfinite(scores.values).all()
    with pytest.raises(ValueError, match="singular"):
        replace(method, curvature=kind).fit(free, p.train)


@pytest.mark.parametrize("kind", BY_LAYER)
def test_it_is_that_of_the_damped_operator_where_all_layers_are_one(kind: Any) -> None:
    o = problem("ridge").objective
    plain = made(kind, o, 0.0)
    mean = float((plain.dense().trace() - o.decay.sum()) / plain.size)
    torch.testing.assert_close(made(kind, o, 0.3).dense(), plain.damped(0.3 * mean).dense())


@pytest.mark.parametrize("mapper", cases.MAPPERS[1:])
@pytest.mark.parametrize("kind", BY_LAYER)
def test_shards_change_nothing(kind: str, mapper: AbstractMapper) -> None:
    o = problem("conv").objective
    torch.testing.assert_close(made(kind, o).dense(mapper), made(kind, o).dense(), rtol=1e-9, atol=1e-12)


def test_minibatches_of_blocks_are_without_bias() -> None:
    """A mean eigenvalue is linear in the matrix, so that minibatches that part the data average to the whole."""
    operator = wh.BlockDiagonal(problem("mlp").objective, layer_damping=0.1)
    parts = [operator.minibatch(part).dense() for part in np.split(np.arange(24), 4)]
    torch.testing.assert_close(torch.stack(parts).mean(0), operator.dense(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fraction", [-0.1, float("nan"), float("inf")])
def test_a_fraction_is_finite_and_not_negative(fraction: float) -> None:
    o = problem("mlp").objective
    for make in (
        lambda: wh.Approximation("ekfac", layer_damping=fraction),
        lambda: wh.BlockDiagonal(o, layer_damping=fraction),
        lambda: wh.KFAC(o, layer_damping=fraction).dense(),
    ):
        with pytest.raises(ValueError, match="layer_damping must be finite and not negative"):
            make()


@pytest.mark.parametrize("kind", sorted(set(get_args(Name)) - set(BY_LAYER)))
def test_curvature_without_blocks_refuses_it(kind: Any) -> None:
    with pytest.raises(ValueError, match=rf"layer_damping is an option of .*'block-diagonal'\], not of '{kind}'"):
        wh.Approximation(kind, layer_damping=0.1)
    assert wh.Approximation(kind).layer_damping == 0


def test_blocks_of_the_hessian_refuse_it() -> None:
    with pytest.raises(ValueError, match="may be negative for the Hessian"):
        wh.BlockDiagonal(problem("mlp").objective, "hessian", layer_damping=0.1)

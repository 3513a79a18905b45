"""Rows of the Hessian of a chain of layers, many at once, against a plain double backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import oracles
import whence as wh
from whence.curvature import chain_rows, gap, hessian
from whence.curvature.chain import chain_of
from whence.objective import Objective, objective_of


class Mean(nn.Module):
    """A mean over positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


class Fed(nn.Module):
    """What stands between two layers also looks at the input, which is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(torch.tanh(self.enter(x)) * (1 + x))


class Residual(nn.Module):
    """The second layer's output meets the first one's again."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.middle, self.leave = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.tanh(self.enter(x))
        return self.leave(first + torch.tanh(self.middle(first)))


CHAINS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tanh": (networks.mlp, (4,)),
    "no bias, gelu": (lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.GELU(), nn.Linear(5, 3, bias=False)), (4,)),
    "relu": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), (4,)),
    "in place": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 3)),
        (4,),
    ),
    "softmax between": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Softmax(1), nn.Linear(5, 3)), (4,)),
    "norm between": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5, elementwise_affine=False), nn.Linear(5, 3)),
        (4,),
    ),
    "nothing between": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), (4,)),
    "fed": (Fed, (4,)),
    "stride, padding, dilation": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, stride=(2, 1), padding=(1, 2)),
            nn.Tanh(),
            nn.Conv2d(2, 3, (2, 3), padding=(1, 0), dilation=(1, 2)),
            nn.Sigmoid(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        (1, 7, 6),
    ),
    "pooled, averaged": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 1), nn.Softplus(), Mean(), nn.Linear(3, 3)
        ),
        (1, 7, 6),
    ),
    "strided back": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2, padding=3), nn.Tanh(), nn.Conv2d(2, 2, 3, stride=3), Mean(), nn.Linear(2, 3)
        ),
        (1, 7, 6),
    ),
    "one dimension": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, stride=2, padding=1), nn.Tanh(), nn.Conv1d(3, 2, 2), Mean(), nn.Linear(2, 3)
        ),
        (2, 9),
    ),
}
NO_CHAINS: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "shared": networks.Shared,
    "bilinear": networks.Bilinear,
    "weight used outside": networks.Outside,
}


def objective(
    build: Callable[[], nn.Module], shape: tuple[int, ...], only: Any = None, loss: str = "mean"
) -> Objective:
    torch.manual_seed(0)
    x = torch.randn(9, *shape, dtype=torch.float64)
    module = build().double()
    module(x)
    task = wh.Classification(module.eval(), weight_decay=0.05, only=only, objective=loss)
    return objective_of(task, wh.as_examples((x, torch.arange(9) % 3)))


def assert_equal(found: Tensor, like: Tensor) -> None:
    torch.testing.assert_close(found, like, rtol=1e-8, atol=1e-10 * float(like.abs().max()))


@pytest.mark.parametrize("name", CHAINS)
def test_the_dense_hessian_is_autograds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(*CHAINS[name])
    assert chain_of(o.task, o.theta, o.train.take(slice(None))) is not None
    monkeypatch.setattr(hessian, "second_derivatives", None)  # the other way is not taken
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))


@pytest.mark.parametrize("name", ["softmax between", "norm between", "pooled, averaged", "one dimension"])
def test_what_is_large_is_differentiated_by_its_graph(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap, "SMALL", 0)
    o = objective(*CHAINS[name])
    chain = chain_of(o.task, o.theta, o.train.take(slice(None)))
    assert chain is not None
    assert any(isinstance(one, gap.ByGraph) for one in chain.gaps)
    monkeypatch.setattr(hessian, "second_derivatives", None)
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))


@pytest.mark.parametrize("name", ["tanh", "stride, padding, dilation", "pooled, averaged"])
def test_cutting_by_examples_rows_and_entries_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(*CHAINS[name])
    whole = wh.Hessian(o).dense()
    monkeypatch.setattr(hessian, "CHAIN_BATCH", 4)
    monkeypatch.setattr(chain_rows, "NUMBERS", 3)
    assert_equal(wh.Hessian(o).dense(), whole)
    assert_equal(wh.Hessian(o).dense(wh.SerialMapper(3)), whole)
    assert_equal(wh.Hessian(replace(o, batch_size=2)).dense(wh.SerialMapper(3)), whole)


@pytest.mark.parametrize("only", [["0"], ["2"], ["0.bias", "2.weight"], ["2.bias"], ["5"]])
def test_some_layers_or_parameters_alone(only: list[str]) -> None:
    o = objective(*CHAINS["stride, padding, dilation"], only=only, loss="sum")
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))


def test_only_what_is_elementwise_stays_in_one_channel() -> None:
    for name, narrow in (("tanh", [True, False]), ("softmax between", [False, False]), ("relu", [True, True, False])):
        o = objective(*CHAINS[name])
        chain = chain_of(o.task, o.theta, o.train.take(slice(None)))
        assert chain is not None
        assert [one.narrow for one in chain.gaps] == narrow


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_no_chain_is_differentiated_as_before(name: str) -> None:
    o = objective(NO_CHAINS[name], (4,))
    assert not hessian._chained(o.task, o.theta, o.train)
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))


def test_groups_are_no_chain() -> None:
    o = objective(networks.convolutional, (1, 6, 6))
    assert chain_of(o.task, o.theta, o.train.take(np.arange(2))) is None


def test_rows_that_do_not_give_autograds_products_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(*CHAINS["tanh"])
    assert hessian._chained(o.task, o.theta, o.train)
    monkeypatch.setattr(hessian, "add_rows", lambda upper, *rest: upper.fill_(1.0))
    assert not hessian._chained(o.task, o.theta, o.train)


def test_what_cannot_be_vectorised_is_differentiated_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(*CHAINS["tanh"])

    def refuses(message: str) -> Any:
        def raised(*given: Any) -> None:
            raise RuntimeError(message)

        return raised

    monkeypatch.setattr(hessian, "add_rows", refuses("Batching rule not implemented for aten::odd; vmap has none"))
    assert not hessian._chained(o.task, o.theta, o.train)
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))
    monkeypatch.setattr(hessian, "add_rows", refuses("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        wh.Hessian(o).dense()


def test_a_loss_that_is_linear_in_the_output_has_no_curvature_there() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 4, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    task = wh.CustomTask(module, lambda output, batch: output[:, 0] * batch.targets)
    o = objective_of(task, wh.as_examples((x, torch.randn(6, dtype=torch.float64))))
    assert hessian._chained(o.task, o.theta, o.train)
    assert_equal(wh.Hessian(o).dense(), oracles.objective_hessian(o))

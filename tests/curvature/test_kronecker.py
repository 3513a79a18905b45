"""KFAC and EKFAC against dense matrices worked out example by example, on every kind of layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import cases
import networks
import oracles
import whence as wh
from problems import NAMES, Problem, problem, untrained
from whence.curvature import ekfac
from whence.mapping import AbstractMapper
from whence.objective import Objective

KINDS = {False: wh.KFAC, True: wh.EKFAC}


class Sentences(nn.Module):
    """Embedding with padding, a 1-D convolution with stride, padding and dilation, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 3, padding_idx=0)
        self.enter = nn.Conv1d(3, 4, 2, stride=2, padding=1, dilation=2)
        self.norm = nn.LayerNorm(4)
        self.leave = nn.Linear(4, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        found = torch.tanh(self.enter(self.words(tokens).transpose(1, 2))).mean(2)
        return self.leave(self.norm(found))


def sentences() -> Problem:
    """Words that occur more than once in a sentence, and padding among them."""
    torch.manual_seed(0)
    return untrained(Sentences(), torch.randint(0, 7, (12, 6)), torch.randint(0, 3, (12,)))


def images() -> Problem:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False),
        nn.Tanh(),
        nn.Conv2d(3, 3, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(18, 3),
    )
    return untrained(net, torch.randn(12, 2, 5, 6), torch.randint(0, 3, (12,)))


def vectors(net: Callable[[], nn.Module], *shape: int) -> Problem:
    torch.manual_seed(0)
    return untrained(net(), torch.randn(12, *shape), torch.randint(0, 3, (12,)))


# name: the problem, and its layers that have no block
FURTHER: dict[str, tuple[Callable[[], Problem], tuple[str, ...]]] = {
    "sentences": (sentences, ()),
    "images": (images, ()),
    "outside": (lambda: vectors(networks.Outside, 4), ("enter",)),
    "position-first": (lambda: vectors(networks.PositionFirst, 5, 2), ("enter", "leave")),
}
OTHERS = {
    "bilinear": ["form", "norm.weight", "norm.bias"],
    "conv": ["2.weight", "2.bias"],
    "sentences": ["norm.weight", "norm.bias"],
    "outside": ["enter.weight", "enter.bias"],
}


@cache
def case(name: str, objective: str = "mean") -> tuple[Objective, tuple[str, ...]]:
    """An objective off its minimum, in batches of 7, and the layers that have no block."""
    if name in FURTHER:
        make, idle = FURTHER[name]
        return replace(make().objective, batch_size=7), idle
    o = problem(name, objective).objective
    theta = o.theta + 0.3 * torch.cos(torch.arange(len(o.theta), dtype=torch.float64))
    return replace(o, theta=theta, batch_size=7), ()


def assert_equal(found: Tensor, like: Tensor, tolerance: float = 1e-8) -> None:
    torch.testing.assert_close(found, like, rtol=tolerance, atol=tolerance * float(like.abs().max()))


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
@pytest.mark.parametrize("bias", ["joint", "separate"])
@pytest.mark.parametrize(
    ("objective", "name"),
    [("mean", name) for name in (*NAMES, *FURTHER)] + [("sum", "ridge"), ("sum", "conv"), ("sum", "shared")],
)
@pytest.mark.parametrize("corrected", [False, True])
def test_the_matrix_is_the_definitions(corrected: bool, name: str, objective: str, bias: Any, fisher: Any) -> None:
    o, idle = case(name, objective)
    operator = KINDS[corrected](o, fisher, bias=bias)
    expected = oracles.kronecker(o, corrected, fisher, bias == "joint", idle)
    v = torch.randn(operator.size, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_equal(operator.dense(), expected)
    assert_equal(operator.matmat(v), expected @ v)
    assert_equal(operator.diagonal(), expected.diagonal())
    assert operator.dtype == torch.float64


@pytest.mark.parametrize("name", [*OTHERS, "mlp"])
def test_parameters_without_a_block_are_named_in_the_result(name: str) -> None:
    p = FURTHER[name][0]() if name in FURTHER else problem(name)
    scores = wh.InfluenceFunction(wh.Factored(), 0.1, "ekfac").fit(p.task, p.train).attribute(p.queries)
    assert scores.attrs["notes"]["diagonal_parameters"] == OTHERS.get(name, [])
    assert scores.attrs["notes"]["curvature"] == "ekfac"


@pytest.mark.parametrize("name", ["mlp", "shared", "sentences", "images"])
def test_the_corrected_eigenvalues_are_nearer_and_keep_the_trace(name: str) -> None:
    o, _ = case(name)
    blocks = oracles.within_blocks(oracles.gauss_newton(o), o)
    kfac, corrected = wh.KFAC(o).dense(), wh.EKFAC(o).dense()
    assert float((corrected - blocks).norm()) < float((kfac - blocks).norm())
    assert float(corrected.trace()) == pytest.approx(float(blocks.trace()), rel=1e-9)


@pytest.mark.parametrize("corrected", [False, True])
def test_exact_for_one_layer_with_one_output(corrected: bool) -> None:
    o, _ = case("ridge")
    assert_equal(KINDS[corrected](o).dense(), oracles.gauss_newton(o))


@pytest.mark.parametrize("mapper", cases.MAPPERS[1:])
@pytest.mark.parametrize("corrected", [False, True])
def test_shards_and_pieces_change_nothing(
    corrected: bool, mapper: AbstractMapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("conv", "bilinear"):
        o, _ = case(name)
        whole = KINDS[corrected](o).dense()
        assert_equal(KINDS[corrected](replace(o, batch_size=5)).dense(mapper), whole)
        monkeypatch.setattr(ekfac, "NUMBERS", 20)
        assert_equal(KINDS[corrected](o).dense(), whole)


@pytest.mark.parametrize("corrected", [False, True])
def test_draws_depend_on_the_seed_and_the_ids_alone(corrected: bool) -> None:
    o, _ = case("mlp")
    make = KINDS[corrected]
    drawn = make(o, "sampled", seed=3).dense()
    assert_equal(make(replace(o, batch_size=5), "sampled", seed=3).dense(), drawn)
    assert_equal(make(o.over(o.train[::-1]), "sampled", seed=3).dense(), drawn)
    assert float((make(o, "sampled", seed=4).dense() - drawn).norm()) > 1e-2 * float(drawn.norm())
    renamed = wh.as_examples(o.train, ids=[f"x{i}" for i in range(len(o.train))])
    assert float((make(o.over(renamed), "sampled", seed=3).dense() - drawn).norm()) > 1e-2 * float(drawn.norm())


@pytest.mark.parametrize("name", ["mlp", "dict"])
def test_many_draws_come_to_the_exact_matrix(name: str) -> None:
    o, _ = case(name)
    exact = wh.KFAC(o).dense()
    errors = [float((wh.KFAC(o, "sampled", n).dense() - exact).norm() / exact.norm()) for n in (10, 1000)]
    assert errors[1] < 0.02
    assert errors[1] < 0.3 * errors[0]


def test_float32_models_give_the_same_matrix_less_exactly() -> None:
    rough, exact = (problem("conv", dtype=dtype).objective for dtype in (torch.float32, torch.float64))
    for make in KINDS.values():
        like = make(exact).dense()
        torch.testing.assert_close(make(rough).dense(), like, rtol=0, atol=1e-5 * float(like.abs().max()))


def test_a_part_of_a_layer_may_be_studied() -> None:
    p = problem("mlp")
    for only, count in ((["0.weight"], 16), (["2.bias"], 3), (["2"], 15)):
        o = replace(p.objective, task=(task := wh.Classification(p.task.module, only=only)), theta=task.parameters())
        operator = wh.EKFAC(o)
        assert operator.size == count
        gn = oracles.gauss_newton(o)
        assert float(operator.dense().trace()) == pytest.approx(float(gn.trace()), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fisher": "type-2"}, "fisher must be one of"), ({"samples": 0}, "samples must be at least 1")],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wh.KFAC(problem("mlp").objective, **options).dense()
    with pytest.raises(ValueError, match=message):
        wh.Approximation("ekfac", **options)


def test_approximations_are_named_and_checked_at_the_door() -> None:
    with pytest.raises(ValueError, match="curvature must be one of"):
        wh.Approximation("fisher")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fisher='sampled' is an option of"):
        wh.Approximation("hessian", "sampled")
    with pytest.raises(ValueError, match="examples must be at least 1"):
        wh.Approximation("ekfac", examples=0)
    p = problem("mlp")
    some = wh.Approximation("gauss-newton", examples=10, seed=1).of(p.objective)
    assert some.examples == 10
    turned = wh.Approximation("gauss-newton", examples=10, seed=1).of(p.objective.over(p.train[::-1]))
    assert_equal(turned.dense(), some.dense())
    with pytest.raises(TypeError, match="sampling needs objective='mean'"):
        wh.Approximation("gauss-newton", examples=10).of(problem("mlp", "sum").objective)

"""Products of per-example gradients with vectors: both modes against loops, and the choice between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import networks
import oracles
import whence as wh
from problems import NAMES, problem, untrained
from whence.gradients import products, rows, tuning


def directions(size: int, count: int = 3) -> Tensor:
    return torch.randn(size, count, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("of", ["loss", "measure"])
@pytest.mark.parametrize("name", NAMES)
def test_both_modes_equal_the_loops(name: str, of: str) -> None:
    p = problem(name, measure=lambda output, batch: output.reshape(len(batch), -1).square().sum(1))
    theta = p.task.parameters()
    v = directions(len(theta))
    expected = oracles.example_gradients(p.task, theta, p.train, of) @ v
    way = rows.way_for(p.task, theta, p.train)
    for mode in ("forward", "reverse"):
        found = products.products(p.task, theta, p.train, v, products.Plan(mode, way, 7, ""), of)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        products.forward_products(p.task, theta, p.train, v, of, 100), expected, rtol=1e-8, atol=1e-10
    )


def test_one_direction_is_a_forward_product() -> None:
    p = problem("mlp")
    plan = products.plan_products(p.task, p.task.parameters(), p.train, 1, 16)
    assert (plan.mode, plan.way, plan.batch_size) == ("forward", "layers", 16)
    assert "one direction" in plan.reason


def test_many_directions_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem("mlp")
    theta = p.task.parameters()
    for forward, reverse, directions_, mode in ((1.0, 5.0, 4, "forward"), (1.0, 5.0, 6, "reverse")):
        seconds = iter([forward, reverse])
        monkeypatch.setattr(products, "_seconds", lambda work, seconds=seconds: (work(), next(seconds))[1])
        plan = products.plan_products(p.task, theta, p.train, directions_, 16)
        assert plan.mode == mode
        assert f"{directions_} x 1 s forward, 5 s reverse" in plan.reason


def test_very_many_directions_are_rows_and_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem("mlp")
    monkeypatch.delattr(products, "_seconds")
    plan = products.plan_products(p.task, p.task.parameters(), p.train, products.MANY, 16)
    assert (plan.mode, plan.reason) == ("reverse", f"{products.MANY} directions: one pass of rows")


def test_an_operation_without_a_forward_derivative_falls_back_and_says_so() -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 4, dtype=torch.float64)
    p = untrained(networks.ReverseOnly(), x, torch.arange(12) % 3)
    theta = p.task.parameters()
    plan = products.plan_products(p.task, theta, p.train, 1, 16)
    assert plan.mode == "reverse"
    assert "no forward derivative" in plan.reason
    v = directions(len(theta), 1)
    expected = oracles.example_gradients(p.task, theta, p.train) @ v
    torch.testing.assert_close(products.products(p.task, theta, p.train, v, plan), expected, rtol=1e-8, atol=1e-10)
    scores = wh.InfluenceFunction(wh.Dense(), damping=1.0).fit(p.task, p.train).attribute(p.queries)
    assert scores.attrs["notes"]["gradient_mode"] == "reverse"
    assert "no forward derivative" in scores.attrs["notes"]["gradient_reason"]
    expected = oracles.influence(p.objective, p.queries, "hessian", 1.0)
    torch.testing.assert_close(torch.from_numpy(scores.values), expected, rtol=1e-8, atol=1e-10)


def test_tuning_takes_the_fastest_batch_and_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = problem("logistic-2", count=300).objective
    cost = {64: 64 * 3.0, 128: 128 * 1.0, 256: 256 * 2.0}  # larger ones are not tried: they raise KeyError
    monkeypatch.setattr(tuning, "_gradient_seconds", lambda _, sample: cost[len(sample)])
    tuned = tuning.tuned(objective, (64, 128, 256, 512, 1024))
    assert tuned.batch_size == 128
    assert replace(tuned, batch_size=objective.batch_size) == objective


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_centred_in_float64_whatever_holds_them(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small differences of large numbers: a mean of float32 numbers in float32 would be off by more than a part."""
    given = (1e4 + directions(3000, 2)).to(dtype)
    expected = 0.1 * (given.double() - given.double().mean(0))
    for size in (1, 1000, products.CENTRED):
        monkeypatch.setattr(products, "CENTRED", size)
        found = given.clone()
        assert products.centred(found, 0.1) is found
        torch.testing.assert_close(found.double(), expected, rtol=torch.finfo(dtype).eps, atol=1e-11)

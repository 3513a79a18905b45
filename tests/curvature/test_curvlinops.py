"""KFAC and EKFAC equal curvlinops' on the same model (``requirements-oracle.txt`` says how it is installed)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import whence as wh
from whence.models import small_all_cnn
from whence.objective import objective_of

curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed: see requirements-oracle.txt")

FISHER = {"exact": "type-2", "empirical": "empirical"}
KINDS = {wh.KFAC: "KFACLinearOperator", wh.EKFAC: "EKFACLinearOperator"}


def networks() -> dict[str, tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    convolutions = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(3, 2, 2, dilation=2),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    perceptron = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4, bias=False), nn.Tanh(), nn.Linear(4, 3))
    labels = torch.randint(0, 3, (20,))
    return {
        "convolutions": (convolutions, torch.randn(20, 1, 8, 8), labels),
        "perceptron": (perceptron, torch.randn(20, 5), labels),
        "all-cnn": (small_all_cnn(0), torch.randn(20, 1, 8, 8), torch.randint(0, 10, (20,))),
    }


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("bias", ["joint", "separate"])
@pytest.mark.parametrize("fisher", list(FISHER))
@pytest.mark.parametrize("name", ["convolutions", "perceptron", "all-cnn"])
@pytest.mark.parametrize("make", list(KINDS))
def test_equal_to_curvlinops(make: Any, name: str, fisher: Any, bias: Any, reduction: Any) -> None:
    net, x, y = networks()[name]
    net, x = net.double().eval(), x.double()
    o = objective_of(wh.Classification(net, objective=reduction), wh.as_examples((x, y)))
    theirs = getattr(curvlinops, KINDS[make])(
        net,
        nn.CrossEntropyLoss(reduction=reduction),
        list(net.parameters()),
        [(x[:12], y[:12]), (x[12:], y[12:])],
        fisher_type=FISHER[fisher],
        separate_weight_and_bias=bias == "separate",
        check_deterministic=False,
    )
    expected = theirs @ torch.eye(len(o.theta), dtype=torch.float64)
    found = make(o, fisher, bias=bias).dense()
    error = float((found - expected).norm() / expected.norm())
    assert error < 1e-4, f"relative error {error:.1e}"

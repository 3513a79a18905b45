"""Law of the last layers: where they alone are studied, keeping what enters them changes no number."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cases
import networks
import whence as wh
from problems import problem
from whence.gradients import tail
from whence.task import AbstractTask

BY_GRADIENTS = cases.where(lambda method: method.attributor.by_gradients)
LAST = {
    "mlp": ["2"],
    "conv": ["5"],
    "dict": ["leave"],
    "mlp-weight": ["2.weight"],
    "conv-two": ["2", "5"],  # with an activation and a flattening between them
    "conv-ends": ["2.bias", "5.weight"],
}


def alone(name: str, only: list[str], **options: Any) -> AbstractTask:
    whole = problem(name).task
    return type(whole)(whole.module, weight_decay=0.05, only=only, **options)


def test_the_table_of_methods_is_not_empty() -> None:
    assert len(BY_GRADIENTS) > 20


@pytest.mark.parametrize("place", LAST)
@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_scores_are_those_of_the_whole_model(method: cases.Method, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = place.partition("-")[0]
    if not method.takes(name):
        pytest.skip("the method cannot answer for this problem")
    p, task = problem(name), alone(name, LAST[place])
    kept = method.attributor.fit(task, p.train)
    monkeypatch.setattr(tail, "LARGEST", 0)
    whole = method.attributor.fit(task, p.train)
    assert kept.tail is not None
    assert whole.tail is None
    wanted = whole.attribute(p.queries)
    monkeypatch.undo()
    found, close = kept.attribute(p.queries), {"rtol": 1e-6, "atol": 1e-9 * float(abs(wanted).max())}
    np.testing.assert_allclose(found, wanted, **close)
    assert found.attrs["checkpoint"] == wanted.attrs["checkpoint"]
    assert found["query_prediction"].values.tolist() == wanted["query_prediction"].values.tolist()
    own = whole.self_influence()
    np.testing.assert_allclose(kept.self_influence(), own, rtol=1e-6, atol=1e-9 * float(abs(own).max()))


def test_the_network_runs_once_over_the_training_set() -> None:
    p, task, rows = problem("mlp"), alone("mlp", ["2"]), []
    explainer = wh.InfluenceFunction(wh.Dense(), 0.1).fit(task, p.train)
    explainer.objective.task.module[0].register_forward_hook(lambda layer, args, output: rows.append(len(output)))
    explainer.attribute(p.queries)
    assert sum(rows) == len(p.queries)


class Tied(nn.Module):
    """The last layer's weight is the first one's too."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.enter.weight = self.leave.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(torch.tanh(self.enter(x)))


class Softened(nn.Module):
    """The output is not that of the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.leave(torch.tanh(self.enter(x))))


class Reused(nn.Module):
    """The last layer's weight is used once more, where no hook on a layer sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(F.linear(torch.tanh(self.enter(x)), self.leave.weight))


class Skipped(nn.Module):
    """A connection goes round one of the last layers."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.middle, self.leave = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.enter(x))
        return self.leave(x + self.middle(x))


def test_an_activation_in_place_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = (nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    p, task = problem("mlp"), wh.Classification(nn.Sequential(*layers).double().eval(), only=["2", "4"])
    explainer = wh.InfluenceFunction(wh.Dense(), 0.5, "gauss-newton").fit(task, p.train)
    assert explainer.tail is not None
    assert explainer.tail.steps == ("2", "3", "4")
    found = explainer.attribute(p.queries)
    monkeypatch.setattr(tail, "LARGEST", 0)
    whole = explainer.attributor.fit(task, p.train)
    assert whole.tail is None
    np.testing.assert_allclose(found, whole.attribute(p.queries), rtol=1e-9)


def test_a_layer_may_have_any_name() -> None:
    named = nn.Sequential(OrderedDict(enter=nn.Linear(4, 4), bend=nn.Tanh(), steps=nn.Linear(4, 3))).double().eval()
    p = problem("mlp")
    explainer = wh.GradientDot().fit(wh.Classification(named, only=["steps"]), p.train)
    assert explainer.tail is not None
    assert np.isfinite(explainer.attribute(p.queries)).all()


@pytest.mark.parametrize(
    ("network", "only", "options"),
    [
        (networks.mlp, ["0"], {}),
        (networks.mlp, ["0", "2"], {}),
        (networks.mlp, ["2"], {"measure": lambda output, batch: output[:, 0] * batch.inputs[:, 0]}),
        (networks.Shared, ["middle"], {}),
        (networks.Shared, ["middle", "leave"], {}),
        (Tied, ["enter"], {}),
        (Reused, ["leave"], {}),
        (Skipped, ["middle", "leave"], {}),
        (Softened, ["leave"], {}),
        (networks.Outside, ["enter"], {}),
    ],
)
def test_a_layer_that_is_no_model_of_its_own_stays_in_the_network(network: Any, only: list[str], options: Any) -> None:
    torch.manual_seed(0)
    task = wh.Classification(network().double().eval(), only=only, **options)
    p = problem("mlp")
    explainer = wh.GradientDot().fit(task, p.train)
    assert explainer.tail is None
    assert np.isfinite(explainer.attribute(p.queries)).all()


def test_a_saved_explainer_is_read_again_with_its_last_layers(tmp_path: Any) -> None:
    p, task, method = problem("mlp"), alone("mlp", ["2"]), wh.InfluenceFunction(wh.Dense(), 0.1)
    fitted = method.fit(task, p.train)
    again = method.load(fitted.save(tmp_path / "kept"), task, p.train)
    assert again.tail is not None
    np.testing.assert_allclose(again.attribute(p.queries), fitted.attribute(p.queries), rtol=1e-10)

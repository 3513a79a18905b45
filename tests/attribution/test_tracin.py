"""TracIn against loops over checkpoints, against a training's own steps, and against captum's TracInCP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
import oracles
import whence as wh
from problems import Problem, problem, untrained
from whence.objective import Objective
from whence.parameters import CheckpointError, save_checkpoint
from whence.retraining.adam import Adam
from whence.retraining.jobs import MemoryShelf
from whence.retraining.pieces import passed, train_in_pieces


def by_loops(p: Problem, checkpoints: list[tuple[torch.Tensor, float]]) -> np.ndarray:
    total = np.zeros((len(p.queries), len(p.train)))
    for theta, rate in checkpoints:
        asked = oracles.example_gradients(p.task, theta, p.queries, "measure")
        total += rate * (asked @ oracles.example_gradients(p.task, theta, p.train).T).numpy()
    return total


def points(p: Problem) -> list[tuple[torch.Tensor, float]]:
    theta = p.objective.theta
    return [(theta + 0.3, 0.5), (0.7 * theta, 0.25), (theta, 0.125)]


@pytest.mark.parametrize(
    ("name", "objective"), [("conv", "mean"), ("dict", "sum"), ("shared", "mean"), ("bilinear", "mean")]
)
def test_tracin_equals_a_loop(name: str, objective: str) -> None:
    p = problem(name, objective)
    scores = wh.TracIn(points(p)).fit(p.task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores, by_loops(p, points(p)), rtol=1e-9, atol=1e-12)
    assert scores.attrs["quantity"] == "change in loss without one step at each checkpoint on the example (first order)"
    assert scores.attrs["unit"] == p.task.unit
    shares = [wh.Checkpoint(theta, rate, steps=10) for theta, rate in points(p)]
    shared = wh.TracIn(shares).fit(p.task, p.train).attribute(p.queries)
    np.testing.assert_allclose(shared, scores * (10 / 24 if objective == "mean" else 10), rtol=1e-9, atol=1e-12)
    assert shared.attrs["quantity"] == "change in loss without the recorded steps on the example (first order)"


def descent(objective: Objective, theta: torch.Tensor, steps: int, rate: float) -> list[torch.Tensor]:
    """θ before each step of plain gradient descent on the mean loss, and at the end."""
    passed = [theta]
    for _ in range(steps):
        passed.append(passed[-1] - rate * oracles.gradient(lambda t: oracles.total(objective, t), passed[-1]))
    return passed


def test_shares_of_all_examples_add_up_to_what_training_did() -> None:
    """Over small steps the losses fall by the sum of all scores: the error shrinks with the step."""
    p = problem("mlp", decay=0.0)
    o = p.objective
    errors = []
    for steps in (20, 80):
        thetas = descent(o, 0.3 * torch.cos(torch.arange(len(o.theta))).double(), steps, 8 / steps)
        checkpoints = [wh.Checkpoint(theta, 8 / steps, steps=1) for theta in thetas[:-1]]
        scores = wh.TracIn(checkpoints).fit(p.task, p.train).attribute(p.queries)
        first, last = (
            [float(oracles.value(p.task, t, p.queries, q)) for q in range(5)] for t in (thetas[0], thetas[-1])
        )
        fallen = np.array(first) - np.array(last)
        errors.append(float(abs(scores.sum("train") - fallen).max()) / float(abs(fallen).max()))
    assert errors[1] < 0.1
    assert errors[1] < 0.35 * errors[0]


def test_checkpoints_are_vectors_state_dicts_or_files(tmp_path: Path) -> None:
    p = problem("mlp")
    states, files, safe = [], [], []
    for number, (theta, rate) in enumerate(points(p)):
        module = networks.mlp().double()
        for name, value in p.task.layout.unflatten(theta).items():
            module.get_parameter(name).data.copy_(value)
        states.append((module.state_dict(), rate))
        torch.save(module.state_dict(), tmp_path / f"{number}.pt")
        save_checkpoint(module, tmp_path / f"{number}.safetensors")
        files.append((tmp_path / f"{number}.pt", rate))
        safe.append((str(tmp_path / f"{number}.safetensors"), rate))
    expected = wh.TracIn(points(p)).fit(p.task, p.train).attribute(p.queries)
    for checkpoints in (states, files, safe):
        np.testing.assert_allclose(
            wh.TracIn(checkpoints).fit(p.task, p.train).attribute(p.queries), expected, rtol=1e-9
        )
    kept = wh.TracIn(safe).fit(p.task, p.train).save(tmp_path / "kept")
    wh.TracIn(safe).load(kept, p.task, p.train)
    (tmp_path / "1.safetensors").write_bytes((tmp_path / "0.safetensors").read_bytes())
    with pytest.raises(ValueError, match="another options"):
        wh.TracIn(safe).load(kept, p.task, p.train)


def test_the_checkpoints_of_a_training_in_pieces_are_at_hand() -> None:
    p = problem("mlp")
    recipe, shelf = Adam(20, batch_size=8, learning_rate=0.01, schedule="one-cycle"), MemoryShelf({})
    end = train_in_pieces(recipe, p.objective, 0, shelf, 5)
    checkpoints = passed(recipe, shelf)
    assert [rate for _, rate in checkpoints] == [recipe.rate(step) for step in (4, 9, 14, 19)]
    assert torch.equal(checkpoints[-1][0], end.theta)
    scores = wh.TracIn(checkpoints).fit(p.task, p.train).attribute(p.queries)
    np.testing.assert_allclose(scores, by_loops(p, checkpoints), rtol=1e-9, atol=1e-12)


def normed() -> nn.Module:
    """BatchNorm, with statistics that are not those it starts with."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module(torch.randn(30, 4, dtype=torch.float64))
    return module.eval()


def test_buffers_come_with_state_dicts_and_are_missed_in_vectors() -> None:
    x = torch.arange(40.0, dtype=torch.float64).reshape(10, 4).sin()
    p = untrained(normed(), x, torch.arange(10) % 3)
    state = {name: value.clone() for name, value in p.task.module.state_dict().items()}
    state["1.running_mean"] += 1.0
    moved = untrained(normed(), x, torch.arange(10) % 3)
    moved.task.module.load_state_dict(state)
    expected = wh.GradientDot().fit(moved.task, moved.train).attribute(moved.queries)
    np.testing.assert_allclose(wh.TracIn([state]).fit(p.task, p.train).attribute(p.queries), expected, rtol=1e-9)
    with pytest.raises(ValueError, match="buffers that training moves"):
        wh.TracIn([p.task.parameters()]).fit(p.task, p.train)


def test_impossible_checkpoints_are_refused(tmp_path: Path) -> None:
    p = problem("mlp")
    theta = p.objective.theta
    fits: list[tuple[Any, Any, str]] = [
        (theta[:-1], ValueError, "has 35 studied parameters"),
        (theta * float("nan"), ValueError, "NaN or infinity"),
        (nn.Linear(2, 2).state_dict(), CheckpointError, "of another model"),
        (tmp_path / "absent.pt", CheckpointError, "no such checkpoint"),
    ]
    for parameters, error, words in fits:
        with pytest.raises(error, match=words):
            wh.TracIn([parameters]).fit(p.task, p.train)
    with pytest.raises(ValueError, match="no checkpoints"):
        wh.TracIn([])
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        wh.TracIn([(theta, 0.0)])
    with pytest.raises(TypeError, match="not int"):
        wh.TracIn([3])
    with pytest.raises(ValueError, match="give steps for all"):
        wh.TracIn([wh.Checkpoint(theta, 0.1, 3), wh.Checkpoint(theta, 0.1)])


@pytest.mark.parametrize("fast", [False, True])
def test_tracin_equals_captums(fast: bool, tmp_path: Path) -> None:
    """TracInCP, and TracInCPFast for the last layer's weight, over the same checkpoints and learning rates."""
    pytest.importorskip("captum", reason="captum is not installed; the oracles above hold without it")
    from captum.influence import TracInCP, TracInCPFast

    p = problem("mlp")
    paths = []
    for number, (theta, rate) in enumerate(points(p)):
        module = networks.mlp().double()
        for name, value in p.task.layout.unflatten(theta).items():
            module.get_parameter(name).data.copy_(value)
        paths.append(str(tmp_path / f"{number}.pt"))
        torch.save({"state": module.state_dict(), "rate": rate}, paths[-1])

    def load(module: nn.Module, path: str) -> float:
        kept = torch.load(path)
        module.load_state_dict(kept["state"])
        return float(kept["rate"])

    train, queries = p.train.take(slice(None)), p.queries.take(slice(None))
    module = networks.mlp().double()
    data = torch.utils.data.TensorDataset(train.inputs, train.targets)
    loss = nn.CrossEntropyLoss(reduction="sum" if fast else "none")
    kind, layer = (TracInCPFast, {"final_fc_layer": module[2]}) if fast else (TracInCP, {})
    options = {"checkpoints": paths, "checkpoints_load_func": load, "loss_fn": loss, "batch_size": 7, **layer}
    peer = kind(module, train_dataset=data, **options)
    theirs = peer.influence((queries.inputs, queries.targets)).numpy()
    task = wh.Classification(p.task.module, only=["2.weight"]) if fast else p.task
    states = [(torch.load(path)["state"], rate) for path, (_, rate) in zip(paths, points(p), strict=True)]
    ours = wh.TracIn(states).fit(task, p.train).attribute(p.queries)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(abs(theirs).max()))

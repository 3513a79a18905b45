"""Neighbours and places: against the slow and obvious, and which layer is the last hidden one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from made_up import Given, images, vectors
from torch import nn

import whence as wh
from whence.examples import as_examples
from whence.exhibit import neighbours, places


def slowly(rows: np.ndarray, label: np.ndarray, k: int) -> tuple[list[float], list[int]]:
    """Shares and majorities by sorting every row's similarities."""
    shares, most = [], []
    for i, row in enumerate(rows):
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
        similarity = np.where(norms > 0, rows @ row / np.where(norms > 0, norms, 1), 0.0)
        similarity[i] = -np.inf
        around = label[np.argsort(-similarity, kind="stable")[:k]]
        shares.append(float((around != label[i]).mean()))
        counts = {int(c): int((around == c).sum()) for c in np.unique(label)}
        best = max(counts.values())
        winners = [c for c, count in sorted(counts.items()) if count == best]
        most.append(int(label[i]) if label[i] in winners else winners[0])
    return shares, most


@pytest.mark.parametrize("count", [2, 7, 90])
def test_disagreement_is_that_of_the_slow_way(count: int) -> None:
    generator = np.random.default_rng(count)
    rows, label = generator.normal(size=(count, 3)), generator.integers(5, 9, size=count)
    near = neighbours.nearest(torch.from_numpy(rows))
    assert near.shape == (count, min(10, count - 1))
    share, most = neighbours.disagreement(near, label)
    expected_share, expected_most = slowly(rows, label, min(10, count - 1))
    np.testing.assert_allclose(share, expected_share, rtol=1e-6)
    assert most.tolist() == expected_most


def test_blocks_change_nothing_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(50, 4)
    whole, heard = neighbours.nearest(rows), []
    monkeypatch.setattr(neighbours, "NUMBERS", 50 * 7)
    np.testing.assert_array_equal(neighbours.nearest(rows, tell=lambda done, of: heard.append((done, of))), whole)
    assert heard[0] == (7, 50)
    assert heard[-1] == (50, 50)


def test_length_does_not_matter_and_a_zero_row_has_no_direction() -> None:
    rows = torch.tensor([[1.0, 0.0], [9.0, 0.1], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])
    near = neighbours.nearest(rows, k=2)
    assert near[0].tolist()[0] == 1
    assert 3 not in near[0]
    assert np.isfinite(near).all()


def test_one_row_has_no_neighbours() -> None:
    with pytest.raises(ValueError, match="1 examples have no neighbours"):
        neighbours.nearest(torch.ones(1, 3))


class Recurrent(nn.Module):
    """Its hidden layer gives a tuple, its head is a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.cell, self.head = nn.Linear(4, 3), nn.LSTM(3, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.cell(self.squeeze(x)[:, None])
        return self.head(states[:, -1])


class Alone(nn.Module):
    """Parameters of its own and no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        (nn.Linear(4, 2), "input"),
        (Alone(), "input"),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), "1"),
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Dropout(), nn.Linear(3, 2), nn.LogSoftmax(1)).eval(), "2"),
        (nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.ReLU()), nn.Linear(5, 2)), "0.1"),
        (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1), nn.Linear(1, 2)), "0"),
        (Recurrent(), "squeeze"),
    ],
)
def test_the_last_hidden_layer(module: nn.Module, layer: str) -> None:
    task = wh.Classification(module)
    train = as_examples((torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 0])))
    hooks = [len(one._forward_hooks) for one in module.modules()]
    assert places.last_hidden_layer(task, train) == layer
    assert [len(one._forward_hooks) for one in module.modules()] == hooks


def test_without_a_layer_and_without_one_input_there_is_no_place(shown) -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 2).double())

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return (left + right) @ self.weight

    left, right = torch.rand(2, 9, 2).double()
    every = as_examples({"left": left, "right": right, "y": torch.arange(9) % 2})
    found = shown(Given(wh.Classification(Sum()), every[:6], every[6:]), layers=None)
    assert found.problems == []
    assert found.about["maps"] == []
    assert set(found.columns("train")) == {"id", "label", "prediction", "confidence", "loss"}


def test_maps_of_given_layers(shown) -> None:
    given = images()
    found = shown(given, layers=("input", "2"), seed=3)
    assert [one["name"] for one in found.about["maps"]] == ["pca input", "tsne input", "pca 2", "tsne 2"]
    for one in found.about["maps"]:
        places_ = found.map(one["name"])
        assert places_["train"].shape == (30, 2)
        assert places_["queries"].shape == (6, 2)
        assert places_["train"].dtype == np.float32
        assert one["note"]
    rows = given.train.take(slice(None)).inputs.reshape(30, -1).numpy()
    centred = rows - rows.mean(0)
    axes = np.linalg.svd(centred)[2][:2]
    np.testing.assert_allclose(np.abs(found.map("pca input")["train"]), np.abs(centred @ axes.T), atol=1e-5)
    with pytest.raises(KeyError, match="there is no map 'pca 9'; there are"):
        found.map("pca 9")


def test_an_unknown_layer_is_an_error(shown) -> None:
    with pytest.raises(KeyError, match="no layer 'h9'"):
        shown(vectors(), layers=("h9",))


def test_too_many_rows_are_not_laid_out_by_t_sne(shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "ROWS", 35)
    found = shown(vectors(), layers=None)
    assert [one["kind"] for one in found.about["maps"]] == ["pca"]
    assert found.about["notes"] == ["There is no map tsne 2: t-SNE is not asked to lay out 36 rows, more than 35."]
    assert found.problems == []


def test_too_many_numbers_leave_maps_and_neighbours_out(shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "NUMBERS", 100)
    given = vectors()
    method = wh.InfluenceFunction(wh.Dense(), 1.0, "gauss-newton").fit(given.task, given.train)
    found = shown(given, layers=None, self_influence=method.self_influence)
    assert found.about["maps"] == []
    words = "36 rows of 6 numbers each in 2 are too many to lay out"
    assert found.about["notes"][0] == f"There is no column of neighbours: {words}."
    assert len(found.about["notes"]) == 3
    assert "disagreement" not in found.columns("train")
    assert "self_influence" in found.columns("train")


def test_self_influence_that_cannot_be_had_leaves_the_neighbours(shown) -> None:
    given = vectors()
    found = shown(given, self_influence=lambda: wh.InfluenceFunction(wh.Dense(), -1.0).fit(given.task, given.train))
    assert "There is no column of self-influence: " in found.about["notes"][0]
    assert "disagreement" in found.columns("train")
    assert found.problems == []


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_data_without_variation_have_no_map(shown, value: float) -> None:
    x: Any = np.full((12, 3), value)
    y = np.arange(12) % 2
    module = nn.Linear(3, 2).double()
    given = Given(wh.Classification(module), as_examples((x[:8], y[:8])), as_examples((x[8:], y[8:])))
    found = shown(given, layers=None)
    assert found.about["maps"] == []
    assert len(found.about["notes"]) == 2
    assert found.columns("train")["disagreement"].shape == (8,)

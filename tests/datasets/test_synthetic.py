"""The clusters and the line do what their stories say."""

import numpy as np
import pytest
import torch

from whence.datasets import clusters, line
from whence.examples import Examples


def inputs_of(data: Examples) -> torch.Tensor:
    return data.take(slice(None)).inputs  # type: ignore[no-any-return]


def test_clusters_shape_and_ids() -> None:
    train, queries = clusters(n=101, seed=1, queries=30)
    batch = train.take(slice(None))
    assert batch.inputs.shape == (102, 2)
    assert batch.inputs.dtype == torch.float64
    assert batch.targets.dtype == torch.int64
    assert train.classes == ("0", "1")
    assert len(queries) == 30
    assert train.ids[:2].tolist() == ["c0-0", "c0-1"]
    assert train.ids[51] == "c1-0"
    assert not set(train.ids) & set(queries.ids)
    assert "outlier" not in queries.ids


@pytest.mark.parametrize("seed", range(5))
def test_the_outlier_is_the_far_and_unlikely_one(seed: int) -> None:
    train, _ = clusters(seed=seed)
    points, labels = inputs_of(train), train.targets()
    distance = (points - points.median(dim=0).values).norm(dim=1)
    assert train.ids[distance.argmax()] == "outlier"
    assert distance.sort(descending=True).values[0] > 1.5 * distance.sort(descending=True).values[1]
    logit = 1 + 0.6 * points.sum(dim=1)
    likelihood = torch.where(labels == 1, logit, -logit).sigmoid()
    assert train.ids[likelihood.argmin()] == "outlier"
    assert likelihood.min() < 1e-3


def test_the_outlier_lies_off_the_diagonal() -> None:
    train, _ = clusters()
    across = (inputs_of(train) @ torch.tensor([1.0, -1.0], dtype=torch.float64)).abs()
    assert train.ids[across.argmax()] == "outlier"
    assert across[-1] > 5 * across[:-1].max()


def test_clusters_follow_their_law() -> None:
    train, _ = clusters(n=20_000, seed=0)
    train = train[:20_000]
    everywhere, labels = inputs_of(train), train.targets()
    for number, mean in enumerate((-2.0, 1.5)):
        points = everywhere[np.char.startswith(train.ids, f"c{number}-")]
        assert len(points) == 10_000
        assert points.mean(dim=0).numpy() == pytest.approx([mean, mean], abs=0.05)
        assert np.cov(points.numpy().T).ravel() == pytest.approx([1, 0, 0, 1], abs=0.05)
    expected = torch.sigmoid(1 + 0.6 * everywhere.sum(dim=1))
    for low in (0.0, 0.25, 0.5, 0.75):
        bin_ = (expected >= low) & (expected < low + 0.25)
        assert labels[bin_].double().mean() == pytest.approx(float(expected[bin_].mean()), abs=0.05)


def test_clusters_are_deterministic_and_queries_do_not_hang_on_n() -> None:
    first, second = clusters(seed=2), clusters(n=90, seed=2)
    assert torch.equal(inputs_of(first[0]), inputs_of(clusters(seed=2)[0]))
    assert not torch.equal(inputs_of(first[0]), inputs_of(clusters(seed=3)[0]))
    assert torch.equal(inputs_of(first[1]), inputs_of(second[1]))
    assert torch.equal(first[1].targets(), second[1].targets())
    with pytest.raises(ValueError, match="at least 2"):
        clusters(n=1)


def with_point(everything: Examples, name: str) -> Examples:
    return everything.select([*everything.ids[:20], name])


def slope(data: Examples) -> float:
    return float(np.polyfit(inputs_of(data)[:, 0].numpy(), data.targets().numpy(), 1)[0])


def leverage(data: Examples) -> np.ndarray:
    design = np.column_stack([np.ones(len(data)), inputs_of(data).numpy()])
    return np.diag(design @ np.linalg.pinv(design))


@pytest.mark.parametrize("seed", range(5))
def test_only_b_moves_the_slope(seed: int) -> None:
    everything, special = line(seed)
    base = slope(everything[:-3])
    change = {name: abs(slope(with_point(everything, name)) - base) for name in special}
    assert change["B"] > 0.15
    assert change["A"] < 1e-12
    assert change["C"] < change["B"] / 5


@pytest.mark.parametrize("seed", range(5))
def test_leverage_and_residual_tell_the_three_apart(seed: int) -> None:
    everything, special = line(seed)
    hat = {name: leverage(with_point(everything, name))[-1] for name in special}
    assert hat["A"] < 2 / 20 < 0.3 < hat["B"]
    assert hat["B"] == pytest.approx(hat["C"])
    fit = np.polyfit(inputs_of(everything[:-3])[:, 0].numpy(), everything[:-3].targets().numpy(), 1)
    points = everything.select(special).take(slice(None))
    off = np.abs(points.targets.numpy() - np.polyval(fit, points.inputs[:, 0].numpy()))
    residual = dict(zip(special, off, strict=True))
    assert residual["A"] > 3
    assert residual["B"] > residual["A"] > residual["C"]


def test_line_data() -> None:
    everything, special = line()
    batch = everything.take(slice(None))
    assert batch.inputs.shape == (23, 1)
    assert batch.targets.dtype == batch.inputs.dtype == torch.float64
    assert everything.classes == ()
    assert special == ("A", "B", "C")
    assert everything.ids.tolist() == [*(f"p{i}" for i in range(20)), *special]
    assert torch.equal(batch.targets, line()[0].targets())
    assert not torch.equal(batch.targets, line(seed=1)[0].targets())

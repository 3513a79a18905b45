"""The clusters and the line do what their stories say."""

import numpy as np
import pytest
import torch

from whence.datasets import LabelledData, clusters, line


def test_clusters_shape_and_ids() -> None:
    train, queries = clusters(n=101, seed=1, queries=30)
    assert train.inputs.shape == (102, 2)
    assert train.inputs.dtype == torch.float64
    assert len(queries) == 30
    assert train.ids[:2].tolist() == ["c0-0", "c0-1"]
    assert train.ids[51] == "c1-0"
    assert not set(train.ids) & set(queries.ids)
    assert "outlier" not in queries.ids


@pytest.mark.parametrize("seed", range(5))
def test_the_outlier_is_the_far_and_unlikely_one(seed: int) -> None:
    train, _ = clusters(seed=seed)
    distance = (train.inputs - train.inputs.median(dim=0).values).norm(dim=1)
    assert train.ids[distance.argmax()] == "outlier"
    assert distance.sort(descending=True).values[0] > 1.5 * distance.sort(descending=True).values[1]
    logit = 1 + train.inputs.sum(dim=1)
    likelihood = torch.where(train.targets == 1, logit, -logit).sigmoid()
    assert train.ids[likelihood.argmin()] == "outlier"
    assert likelihood.min() < 1e-6


def test_clusters_follow_their_law() -> None:
    train, _ = clusters(n=20_000, seed=0)
    train = train.subset(np.arange(20_000))
    for number, mean in enumerate((-2.0, 1.5)):
        points = train.inputs[np.char.startswith(train.ids, f"c{number}-")]
        assert len(points) == 10_000
        assert points.mean(dim=0).numpy() == pytest.approx([mean, mean], abs=0.05)
        assert np.cov(points.numpy().T).ravel() == pytest.approx([1, 0, 0, 1], abs=0.05)
    expected = torch.sigmoid(1 + train.inputs.sum(dim=1))
    for low in (0.0, 0.25, 0.5, 0.75):
        bin_ = (expected >= low) & (expected < low + 0.25)
        assert train.targets[bin_].double().mean() == pytest.approx(float(expected[bin_].mean()), abs=0.05)


def test_clusters_are_deterministic_and_queries_do_not_hang_on_n() -> None:
    first, second = clusters(seed=2), clusters(n=90, seed=2)
    assert torch.equal(first[0].inputs, clusters(seed=2)[0].inputs)
    assert not torch.equal(first[0].inputs, clusters(seed=3)[0].inputs)
    assert torch.equal(first[1].inputs, second[1].inputs)
    assert torch.equal(first[1].targets, second[1].targets)
    with pytest.raises(ValueError, match="at least 2"):
        clusters(n=1)


def slope(data: LabelledData) -> float:
    return float(np.polyfit(data.inputs[:, 0].numpy(), data.targets.numpy(), 1)[0])


def leverage(data: LabelledData) -> np.ndarray:
    design = np.column_stack([np.ones(len(data)), data.inputs.numpy()])
    return np.diag(design @ np.linalg.pinv(design))


@pytest.mark.parametrize("seed", range(5))
def test_only_b_moves_the_slope(seed: int) -> None:
    base, points = line(seed)
    change = {name: abs(slope(base.concatenate(point)) - slope(base)) for name, point in points.items()}
    assert change["B"] > 0.15
    assert change["A"] < 1e-12
    assert change["C"] < change["B"] / 5


@pytest.mark.parametrize("seed", range(5))
def test_leverage_and_residual_tell_the_three_apart(seed: int) -> None:
    base, points = line(seed)
    hat = {name: leverage(base.concatenate(point))[-1] for name, point in points.items()}
    assert hat["A"] < 2 / len(base) < 0.3 < hat["B"]
    assert hat["B"] == pytest.approx(hat["C"])
    fit = np.polyfit(base.inputs[:, 0].numpy(), base.targets.numpy(), 1)
    residual = {n: abs(float(p.targets[0]) - np.polyval(fit, float(p.inputs[0, 0]))) for n, p in points.items()}
    assert residual["A"] > 5 * residual["C"] or residual["A"] > 3
    assert residual["B"] > residual["A"] > residual["C"]


def test_line_data() -> None:
    base, points = line()
    assert base.inputs.shape == (20, 1)
    assert base.targets.dtype == base.inputs.dtype == torch.float64
    assert base.classes == ()
    assert list(points) == ["A", "B", "C"]
    assert [str(point.ids[0]) for point in points.values()] == ["A", "B", "C"]
    assert torch.equal(base.targets, line()[0].targets)
    assert not torch.equal(base.targets, line(seed=1)[0].targets)

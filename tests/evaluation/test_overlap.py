"""Overlap against counting and chance by simulation; groups against loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from whence.evaluation.overlap import compare_groups, farthest, overlap
from whence.results import ResultError


def labelled(values: np.ndarray, label: np.ndarray) -> xr.DataArray:
    coords = {"train": np.arange(len(values)) + 100, "train_label": ("train", label)}
    return xr.DataArray(values, dims=("train",), coords=coords)


def test_overlap_against_simulation() -> None:
    found = overlap(range(20), range(15, 45), 100)
    assert found.count == 5
    generator = np.random.default_rng(0)
    drawn = np.array(
        [np.intersect1d(generator.choice(100, 20, False), generator.choice(100, 30, False)).size for _ in range(20_000)]
    )
    assert found.expected == pytest.approx(6.0)
    assert drawn.mean() == pytest.approx(found.expected, abs=0.05)
    assert found.p_value == pytest.approx((drawn >= 5).mean(), abs=0.02)
    assert ((drawn >= found.low) & (drawn <= found.high)).mean() >= 0.95
    assert found.share == 5 / 20
    assert found.share_low < 0.25 < found.share_high


def test_the_thesis_overlap_is_far_from_chance() -> None:
    found = overlap(range(500), range(239, 739), 5500)
    assert found.count == 261
    assert found.expected == pytest.approx(45.45, abs=0.01)
    assert found.high < 70
    assert found.p_value < 1e-50


@pytest.mark.parametrize(
    ("first", "second", "total"), [([], [1], 5), ([1, 1], [2], 5), (range(6), [1], 5), ([1], [2, 2], 9)]
)
def test_impossible_sets_are_refused(first, second, total) -> None:
    with pytest.raises(ValueError, match=r"ids|twice"):
        overlap(first, second, total)


def test_an_impossible_confidence_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        overlap([1], [1], 5, confidence=1.0)


def test_farthest_within_each_class() -> None:
    generator = np.random.default_rng(1)
    label = np.repeat([0, 1, 2], [50, 30, 3])
    values = generator.normal(size=83) + 10 * label
    far = farthest(labelled(values, label))
    for name, count in ((0, 5), (1, 3), (2, 1)):
        mine = far.values[label == name]
        assert mine.sum() == count
        assert values[label == name][mine].min() > values[label == name][~mine].max()
    assert far["train"].values.tolist() == list(range(100, 183))


def test_farthest_refuses() -> None:
    values = labelled(np.array([1.0, 2.0]), np.array([0, 1]))
    with pytest.raises(ValueError, match="share"):
        farthest(values, 1.5)
    with pytest.raises(ValueError, match="finite"):
        farthest(values * np.nan)
    with pytest.raises(ResultError, match="train_label"):
        farthest(values.drop_vars("train_label"))


def test_groups_against_loops_in_any_order() -> None:
    generator = np.random.default_rng(2)
    values = labelled(np.abs(generator.normal(size=40)), np.zeros(40, int))
    mask = xr.DataArray(np.arange(40) < 8, dims=("train",), coords={"train": values["train"].values})
    values[:8] += 1.0
    found = compare_groups(values, mask.isel(train=slice(None, None, -1)))
    far, rest = values.values[:8], values.values[8:]
    wins = np.mean([(a > b) + 0.5 * (a == b) for a in far for b in rest])
    assert found["auc"] == pytest.approx(wins)
    assert found["ratio"] == pytest.approx(np.median(far) / np.median(rest))
    assert found["ratio_low"] < found["ratio"] < found["ratio_high"]
    assert (found["marked"], found["rest"]) == (8, 32)
    assert found["p"] < 0.01


def test_groups_refuse_other_ids_and_small_groups() -> None:
    values = labelled(np.arange(5.0), np.zeros(5, int))
    mask = xr.DataArray(np.arange(5) < 1, dims=("train",), coords={"train": values["train"].values})
    with pytest.raises(ValueError, match="two members"):
        compare_groups(values, mask)
    with pytest.raises(ResultError, match="different ids"):
        compare_groups(values, mask.assign_coords(train=np.arange(5)))


@pytest.mark.filterwarnings("error")
def test_a_ratio_to_nothing_is_not_a_number() -> None:
    values = labelled(np.r_[np.zeros(15), np.arange(1.0, 6.0)], np.zeros(20, int))
    mask = xr.DataArray(np.arange(20) >= 14, dims=("train",), coords={"train": values["train"].values})
    found = compare_groups(values, mask)
    assert (found["median_marked"], found["median_rest"]) == (2.5, 0.0)
    assert np.isnan([found["ratio"], found["ratio_low"], found["ratio_high"]]).all()
    assert found["auc"] > 0.9


def test_groups_refuse_values_that_are_not_finite() -> None:
    values = labelled(np.array([1.0, np.nan, 2.0, 3.0, 4.0]), np.zeros(5, int))
    mask = xr.DataArray(np.arange(5) < 2, dims=("train",), coords={"train": values["train"].values})
    with pytest.raises(ValueError, match="1 values are not finite"):
        compare_groups(values, mask)
    with pytest.raises(ValueError, match="resamples"):
        compare_groups(values.fillna(0.0), mask, resamples=0)

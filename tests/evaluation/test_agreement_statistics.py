"""The statistics behind agreement and their bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from whence.evaluation import bootstrap, statistics
from whence.evaluation.bootstrap import Bootstrap

RNG = np.random.default_rng(1)


def test_two_clusters_inflate_pearson_but_not_within_sign() -> None:
    sign = np.repeat([1.0, -1.0], 200)
    predicted, actual = sign + 0.1 * RNG.normal(size=400), sign + 0.1 * RNG.normal(size=400)
    assert statistics.pearson(predicted, actual) > 0.95
    assert abs(statistics.within_sign_pearson(predicted, actual)) < 0.15


def test_within_sign_is_the_pooled_correlation_of_deviations() -> None:
    actual = np.array([1.0, 2.0, 4.0, -1.0, -3.0, -2.5, 0.0, 0.0])
    predicted = np.array([1.5, 1.0, 3.0, -2.0, -2.2, -4.0, 9.0, 9.0])
    parts = [slice(0, 3), slice(3, 6)]
    x, y = (np.concatenate([side[part] - side[part].mean() for part in parts]) for side in (predicted, actual))
    # Two zeros are too few for a group.
    assert statistics.within_sign_pearson(predicted, actual) == pytest.approx(x @ y / np.sqrt(x @ x * (y @ y)))
    assert np.isnan(statistics.within_sign_pearson(predicted[[0, 1, 3, 4]], actual[[0, 1, 3, 4]]))
    assert np.isnan(statistics.within_sign_pearson(np.sign(actual), actual))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_pearson_at_any_scale(scale: float) -> None:
    x, y = RNG.normal(size=(2, 30))
    assert statistics.pearson(scale * x, y / scale) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)


def test_float32_scores_are_correlated_in_float64() -> None:
    x, y = (100 + RNG.normal(size=(2, 20_000))).astype(np.float32)
    expected = stats.pearsonr(x.astype(np.float64), y.astype(np.float64))[0]
    assert statistics.pearson(x, y) == pytest.approx(expected, abs=1e-12)


def test_top_k_overlap_shares_ties() -> None:
    actual = np.array([5.0, -4.0, 3.0, 2.0, 1.0])
    assert statistics.top_k_overlap(np.array([0.1, -9.0, 8.0, 0.2, 0.3]), actual, 2) == 0.5
    assert statistics.top_k_overlap(np.ones(5), actual, 2) == pytest.approx(2 / 5)
    assert statistics.top_k_overlap(np.ones(5), actual, 9) == 1.0
    predicted = np.array([7.0, 1.0, 1.0, 0.0, 0.0])
    # The second place falls to the second or the third removal with equal chance.
    assert statistics.top_k_overlap(predicted, actual, 2) == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_correlations_equal_those_of_the_drawn_pairs(ties: bool) -> None:
    x, y = RNG.normal(size=(2, 15))
    if ties:
        x, y = np.round(x), np.round(y)
    drawn = RNG.integers(15, size=(50, 15))
    counts = np.stack([np.bincount(row, minlength=15) for row in drawn]).astype(float)
    pearson, spearman = bootstrap.weighted_pearson(x, y, counts), bootstrap.weighted_spearman(x, y, counts)
    for row, positions in enumerate(drawn):
        assert pearson[row] == pytest.approx(stats.pearsonr(x[positions], y[positions])[0], abs=1e-12)
        assert spearman[row] == pytest.approx(stats.spearmanr(x[positions], y[positions])[0], abs=1e-12)


def test_a_resample_of_one_pair_is_undefined() -> None:
    x, y = RNG.normal(size=(2, 4)) + 1e6
    counts = np.array([[4.0, 0.0, 0.0, 0.0]])
    assert np.isnan(bootstrap.weighted_pearson(x, y, counts)).all()
    assert np.isnan(bootstrap.weighted_spearman(x, y, counts)).all()


def test_intervals_cover_the_true_correlation() -> None:
    covered = {"pearson": 0, "spearman": 0}
    true = {"pearson": 0.8, "spearman": 6 / np.pi * np.arcsin(0.4)}
    for seed in range(200):
        x, noise = np.random.default_rng(seed).normal(size=(2, 100))
        interval = Bootstrap(resamples=300, seed=seed)
        for name, value in true.items():
            low, high = getattr(interval, name)(x, 0.8 * x + 0.6 * noise)
            covered[name] += low <= value <= high
    assert 175 <= covered["pearson"] <= 199
    assert 175 <= covered["spearman"] <= 199


def test_the_seed_decides_and_confidence_widens() -> None:
    x, y = RNG.normal(size=(2, 50))
    assert Bootstrap(seed=3).spearman(x, y) == Bootstrap(seed=3).spearman(x, y)
    assert Bootstrap(seed=3).spearman(x, y) != Bootstrap(seed=4).spearman(x, y)
    narrow, wide = Bootstrap(confidence=0.5).pearson(x, y), Bootstrap(confidence=0.99).pearson(x, y)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert np.isnan(Bootstrap(resamples=0).pearson(x, y)).all()
    assert np.isnan(Bootstrap().median(np.array([1.0, np.nan]))).all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = RNG.normal(size=(2, 50))
    whole = Bootstrap().pearson(x, y)
    monkeypatch.setattr(bootstrap, "BLOCK", 170)
    assert Bootstrap().pearson(x, y) == pytest.approx(whole, abs=1e-12)

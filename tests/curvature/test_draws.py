"""Draws by id: the same whatever stands beside an id, others for another seed, and distributed as they say."""

from __future__ import annotations

import numpy as np
from scipy import stats

from whence.curvature.draws import normal, uniform


def test_a_draw_hangs_on_seed_and_id_alone() -> None:
    ids = np.array(["b", "a", "c"])
    found = uniform(ids, 3, 4)
    assert found.shape == (3, 4)
    np.testing.assert_array_equal(uniform(ids[::-1], 3, 4), found[::-1])
    np.testing.assert_array_equal(uniform(ids, 3, 2), found[:, :2])
    assert not np.isclose(uniform(ids, 4, 4), found).any()
    assert len(np.unique(found)) == 12


def test_the_numbers_are_uniform_and_normal_and_independent() -> None:
    ids = np.arange(20_000)
    assert stats.kstest(uniform(ids, 0)[:, 0], "uniform").pvalue > 1e-3
    found = normal(ids, 0, 3)
    assert all(stats.kstest(column, "norm").pvalue > 1e-3 for column in found.T)
    assert np.abs(np.corrcoef(found.T) - np.eye(3)).max() < 0.03
    assert np.isfinite(found).all()

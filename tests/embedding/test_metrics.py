"""Distances against scipy, centroids against a loop, and the corners: zero, equal and empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import distance
from torch import Tensor

from whence.embedding import metrics
from whence.embedding.spread import fit_spread

GENERATOR = torch.Generator().manual_seed(0)
QUERY, TRAIN = (torch.randn(n, 6, generator=GENERATOR, dtype=torch.float64) for n in (4, 50))


@pytest.fixture(params=[metrics.BLOCK_BYTES, 200], ids=["one-block", "many-blocks"], autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.blocks, "__defaults__", (request.param,))


def test_cosine_and_euclid_equal_scipy() -> None:
    found = metrics.cosine_similarity(QUERY, TRAIN)
    np.testing.assert_allclose(found, 1 - distance.cdist(QUERY, TRAIN, "cosine"), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(metrics.euclidean_distance(QUERY, TRAIN), distance.cdist(QUERY, TRAIN), rtol=1e-12)


def test_mahalanobis_equals_its_definition() -> None:
    inverse = np.linalg.inv(np.cov(TRAIN.T.numpy()))
    found = metrics.mahalanobis_distance(QUERY, TRAIN, fit_spread(TRAIN))
    expected = [[distance.mahalanobis(q, i, inverse) for i in TRAIN.numpy()] for q in QUERY.numpy()]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_float32_is_taken_to_float64() -> None:
    query, train = QUERY.float(), TRAIN.float()
    for metric in (metrics.cosine_similarity, metrics.euclidean_distance):
        found = metric(query, train)
        assert found.dtype == torch.float64
        np.testing.assert_array_equal(found, metric(query.double(), train.double()))


def test_a_zero_vector_is_similar_to_nothing_and_no_nan() -> None:
    query = torch.stack([torch.zeros(6, dtype=torch.float64), TRAIN[0]])
    train = torch.cat([torch.zeros(1, 6, dtype=torch.float64), TRAIN[:1]])
    np.testing.assert_allclose(metrics.cosine_similarity(query, train), [[0, 0], [0, 1]], atol=1e-15)
    length = float(TRAIN[0].norm())
    np.testing.assert_allclose(metrics.euclidean_distance(query, train), [[0, length], [length, 0]], rtol=1e-14)


def test_equal_vectors_are_at_zero_far_from_the_origin() -> None:
    far = TRAIN + 1e6
    assert bool((metrics.euclidean_distance(far, far).diagonal() == 0).all())
    assert bool((metrics.mahalanobis_distance(far, far, fit_spread(far)).diagonal() == 0).all())
    assert float(metrics.cosine_similarity(far, far).max()) <= 1


def test_centroids_equal_a_loop() -> None:
    labels = torch.arange(50) % 3 * 5 - 5
    classes, means = metrics.centroids(TRAIN.float(), labels)
    assert classes.tolist() == [-5, 0, 5]
    for label, mean in zip(classes, means, strict=True):
        members = [TRAIN[i].float().double() for i in range(50) if labels[i] == label]
        torch.testing.assert_close(mean, sum(members, torch.zeros(6).double()) / len(members), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("metric", [metrics.cosine_similarity, metrics.euclidean_distance])
def test_no_training_rows_give_no_columns_and_other_dimensions_are_refused(metric) -> None:  # type: ignore[no-untyped-def]
    assert metric(QUERY, TRAIN[:0]).shape == (4, 0)
    for wrong in (TRAIN[:, :5], TRAIN[0]):
        with pytest.raises(ValueError, match="cannot be compared: give"):
            metric(QUERY, wrong)


def test_centroids_need_a_label_a_row() -> None:
    wrong: list[tuple[Tensor, Tensor]] = [(TRAIN, torch.zeros(3)), (TRAIN[:0], torch.zeros(0)), (TRAIN[0], TRAIN[0])]
    for train, labels in wrong:
        with pytest.raises(ValueError, match="one label"):
            metrics.centroids(train, labels)

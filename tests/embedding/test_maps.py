"""Maps against numpy's singular values, the same map for the same seed, labels carried, queries in the same picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from whence.embedding import maps
from whence.embedding.maps import fit_plane, pca, tsne, tsne_together
from whence.results import Labels

RNG = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], 20)
ROWS = RNG.normal(size=(60, 7)) * [9, 4, 2, 1, 1, 1, 1] + 8.0 * np.eye(3, 7)[CLASSES]
LABELS = Labels(np.array([f"image {k}" for k in range(60)]), CLASSES, CLASSES[::-1].copy(), RNG.random(60))
COORDINATES = {"train_label": "label", "train_prediction": "prediction", "train_loss": "loss"}


def test_pca_equals_numpys_singular_value_decomposition_up_to_sign() -> None:
    centred = ROWS - ROWS.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = pca(ROWS, LABELS, components=3)
    np.testing.assert_allclose(np.abs(found), np.abs(u * s)[:, :3], rtol=1e-9, atol=1e-9)
    shares = s**2 / (s**2).sum()
    np.testing.assert_allclose(found.attrs["explained_variance_ratio"], shares[:3], rtol=1e-12)
    assert found["axis"].values[0] == f"component 1 ({100 * shares[0]:.0f} % of the variance)"


def test_the_randomised_decomposition_finds_the_same_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = pca(ROWS)
    monkeypatch.setattr(maps, "FULL", 1)
    found = pca(ROWS)
    assert found.attrs["settings"] == {"solver": "randomized"}
    np.testing.assert_allclose(found, complete, rtol=1e-6, atol=1e-6)


def test_each_direction_has_its_largest_loading_positive() -> None:
    for rows in (ROWS, -ROWS):
        directions = fit_plane(rows, 4).directions
        assert (directions[range(4), np.abs(directions).argmax(1)] > 0).all()


def test_queries_are_placed_where_training_examples_of_the_same_embedding_lie() -> None:
    plane = fit_plane(ROWS)
    labels = Labels(np.array([7, 3]), np.array([0, 1]))
    found = plane.place(ROWS[[5, 41]], labels, "query")
    assert found.dims == ("query", "axis")
    assert found["query"].values.tolist() == [7, 3]
    assert found["query_label"].values.tolist() == [0, 1]
    train = pca(ROWS, LABELS)
    np.testing.assert_allclose(found, train.values[[5, 41]], atol=1e-12)
    assert found["axis"].values.tolist() == train["axis"].values.tolist()
    with pytest.raises(ValueError, match="same layer"):
        plane.place(ROWS[:, :3])


@pytest.mark.parametrize("method", [pca, tsne])
def test_labels_are_carried(method: Any) -> None:
    found = method(torch.from_numpy(ROWS).float(), LABELS)
    assert found.dims == ("train", "axis")
    assert found.shape == (60, 2)
    assert found.dtype == np.float64
    assert found["train"].values.tolist() == LABELS.ids.tolist()
    for name, field in COORDINATES.items():
        np.testing.assert_array_equal(found[name].values, getattr(LABELS, field))
    assert method(ROWS)["train"].values.tolist() == list(range(60))
    assert set(method(ROWS).coords) == {"train", "axis"}


def test_a_seed_gives_the_same_map_to_the_last_bit() -> None:
    first, again = (tsne(ROWS, seed=3, perplexity=8, iterations=500) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(pca(ROWS), pca(ROWS))


def test_tsne_keeps_groups_together_and_says_how() -> None:
    rows = RNG.normal(size=(60, 80)) + 30.0 * np.eye(3, 80)[CLASSES]
    found = tsne(rows, LABELS, seed=0, perplexity=10)
    assert found["axis"].values.tolist() == ["t-SNE 1", "t-SNE 2"]
    assert found.attrs["method"] == "t-SNE, perplexity 10"
    assert found.attrs["kl_divergence"] >= 0
    settings = found.attrs["settings"]
    assert (settings["seed"], settings["perplexity"], settings["components_seen"]) == (0, 10.0, 50)
    assert 250 <= settings["iterations"] <= 1000
    apart = np.linalg.norm(found.values[:, None] - found.values, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (CLASSES[apart.argmin(1)] == CLASSES).all()


def test_a_perplexity_too_large_is_lowered_and_recorded() -> None:
    found = tsne(ROWS[:13], perplexity=30, iterations=500)
    assert found.attrs["method"] == "t-SNE, perplexity 4"
    assert (found.attrs["settings"]["perplexity"], found.attrs["settings"]["perplexity_asked"]) == (4.0, 30.0)
    assert np.isfinite(tsne(ROWS[:3], iterations=500)).all()


def test_queries_take_part_in_tsne() -> None:
    train, query = tsne_together(ROWS[:50], ROWS[50:], None, Labels(np.arange(10)), perplexity=8, iterations=500)
    assert (train.dims, query.dims) == (("train", "axis"), ("query", "axis"))
    whole = tsne(ROWS, perplexity=8, iterations=500)
    np.testing.assert_array_equal(np.concatenate([train, query]), whole)
    assert train.attrs["settings"]["queries"] == query.attrs["settings"]["queries"] == 10
    with pytest.raises(ValueError, match="same layer"):
        tsne_together(ROWS, ROWS[:, :3])


BROKEN = ROWS.copy()
BROKEN[4, 2] = np.nan


@pytest.mark.parametrize("method", [pca, tsne])
@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (ROWS[:2], None, "2 rows make no map: give 3 or more"),
        (ROWS[0], None, r"give \[n, d\]"),
        (ROWS[:0], None, r"give \[n, d\]"),
        (ROWS[:, :0], None, r"give \[n, d\]"),
        (BROKEN, None, r"1 rows .* not finite \(first: row 4\): leave"),
        (np.ones((9, 4)), None, "equal"),
        (ROWS[:9], LABELS, "60 ids for 9 rows"),
    ],
)
def test_what_cannot_be_mapped_is_refused(method: Any, rows: Any, labels: Labels | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(rows, labels)


def test_settings_that_make_no_sense_are_refused() -> None:
    for components in (0, 8):
        with pytest.raises(ValueError, match="at most 7"):
            pca(ROWS, components=components)
    for settings in ({"perplexity": 0.5}, {"perplexity": np.nan}, {"perplexity": np.inf}, {"iterations": 100}):
        with pytest.raises(ValueError, match="30 is usual"):
            tsne(ROWS, **settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one column"):
        tsne(ROWS[:, :1])

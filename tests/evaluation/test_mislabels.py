"""Detection of wrong labels against scikit-learn, by hand, and with cleanlab beside."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import average_precision_score, roc_auc_score

from whence import results
from whence.evaluation import harm, label_quality, mislabel_detection, mislabels, neighbour_disagreement
from whence.evaluation.bootstrap import Bootstrap
from whence.evaluation.detection import Ranking


def ranking(values: Any, **coords: Any) -> xr.DataArray:
    values = np.asarray(values, dtype=float)
    named: dict[str, Any] = {"train": np.arange(len(values)), "train_loss": ("train", np.zeros(len(values)))}
    return xr.DataArray(values, dims=("train",), coords=named | coords)


def marks(values: Any, **attrs: Any) -> xr.DataArray:
    values = np.asarray(values, dtype=bool)
    return xr.DataArray(values, dims=("train",), coords={"train": np.arange(len(values))}, attrs=attrs)


def drawn(n: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    wanted = generator.random(n) < 0.3
    wanted[:2] = [True, False]
    score = generator.normal(size=n) + wanted
    return (np.round(score * levels) / levels if levels else score), wanted


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_statistics_are_scikit_learns_with_weights(levels: int, seed: int) -> None:
    score, wanted = drawn(60, levels, seed)
    found = Ranking(score, wanted)
    counts = np.random.default_rng(seed + 100).multinomial(60, np.full(60, 1 / 60), size=20).astype(float)
    for row in [np.ones(60), *counts]:
        ap, auc = (f(row[None])[0] for f in (found.average_precision, found.roc_auc))
        assert ap == pytest.approx(average_precision_score(wanted, score, sample_weight=row))
        assert auc == pytest.approx(roc_auc_score(wanted, score, sample_weight=row))
    together = found.average_precision(counts)
    assert together == pytest.approx([found.average_precision(row[None])[0] for row in counts])


@pytest.mark.parametrize("levels", [0, 1])
def test_recall_is_the_mean_over_random_tie_breaks(levels: int) -> None:
    score, wanted = drawn(40, levels, 1)
    generator = np.random.default_rng(0)
    for k in (1, 7, 40):
        simulated = []
        for _ in range(4000):
            order = np.lexsort((generator.random(40), -score))
            simulated.append(wanted[order[:k]].sum() / wanted.sum())
        assert Ranking(score, wanted).recall(k, np.ones((1, 40)))[0] == pytest.approx(np.mean(simulated), abs=0.01)


def test_a_perfect_a_useless_and_a_reversed_ranking() -> None:
    flipped = marks([True, True, False, False, False, False, False, False], chosen="2 of 8")
    given = {
        "perfect": ranking([9, 8, 1, 2, 3, 4, 5, 6]),
        "constant": ranking(np.ones(8)),
        "reversed": ranking([-9, -8, 1, 2, 3, 4, 5, 6]),
    }
    table = mislabel_detection(given, flipped).set_index("ranking")
    assert table.loc["perfect", ["average_precision", "roc_auc", "recall_at_k"]].tolist() == [1, 1, 1]
    assert table.loc["constant", ["average_precision", "roc_auc", "recall_at_k"]].tolist() == [0.25, 0.5, 0.25]
    assert table.loc["reversed", ["roc_auc", "recall_at_k"]].tolist() == [0, 0]
    assert table.loc["perfect", ["n", "flipped", "k", "chosen"]].tolist() == [8, 2, 2, "2 of 8"]
    assert table.loc["training loss", "roc_auc"] == 0.5


def test_the_loss_is_always_beside_and_examples_are_found_by_their_ids() -> None:
    score, wanted = drawn(50, 0, 2)
    values = ranking(np.zeros(50), train_loss=("train", score))
    turned = values.isel(train=np.random.default_rng(0).permutation(50))
    table = mislabel_detection({"nothing": turned}, marks(wanted)).set_index("ranking")
    assert table.loc["training loss", "roc_auc"] == pytest.approx(roc_auc_score(wanted, score))
    only = mislabel_detection({"training loss": ranking(score)}, marks(wanted), k=5)
    assert only["ranking"].tolist() == ["training loss"]
    assert only["recall_at_k"][0] == pytest.approx(wanted[np.argsort(-score)[:5]].sum() / wanted.sum())
    with pytest.raises(results.ResultError, match="no ranking carries train_loss"):
        mislabel_detection({"bare": ranking(score).drop_vars("train_loss")}, marks(wanted))


def test_intervals_hold_the_value_and_shrink_with_n() -> None:
    widths = []
    for n in (60, 960):
        score, wanted = drawn(n, 0, 3)
        row = mislabel_detection({"training loss": ranking(score)}, marks(wanted)).iloc[0]
        for name in ("average_precision", "roc_auc", "recall_at_k"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        widths.append(row["roc_auc_high"] - row["roc_auc_low"])
    assert 3 < widths[0] / widths[1] < 5.5


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Scores normal with shift 1: the AUC is Φ(1/√2) = 0.760."""
    held = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        wanted = np.arange(150) < 50
        low, high = Bootstrap(300).interval(150, Ranking(generator.normal(size=150) + wanted, wanted).roc_auc)
        held += low <= 0.76025 <= high
    assert 0.89 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    ("given", "flipped", "options", "error", "words"),
    [
        (ranking([1.0, 2.0]), marks([True, True]), {"k": 1}, ValueError, "some, not all"),
        (ranking([1.0, np.nan]), marks([True, False]), {}, ValueError, "not finite"),
        (ranking([1.0, 2.0]), marks([True, False]), {"k": 3}, ValueError, "k must lie between 1"),
        (ranking([1.0]), marks([True, False]), {}, results.ResultError, "lacks 1 ids"),
        (ranking([1.0, 2.0]), marks([True, False]).astype(int), {}, results.ResultError, "flipped is bool"),
    ],
)
def test_impossible_wishes_are_refused(given: Any, flipped: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        mislabel_detection({"x": given}, flipped, **options)


def test_harm_is_minus_the_mean_score(make_scores: Any) -> None:
    scores = make_scores([[1.0, -2.0, 0.0], [3.0, -1.0, 0.0]])
    assert harm(scores).values.tolist() == [-2.0, 1.5, 0.0]
    with pytest.raises(results.ResultError, match="nothing of help or harm"):
        harm(make_scores([[1.0, 2.0]], sign=results.NEAR))


def test_neighbours_that_carry_another_label(make_scores: Any) -> None:
    place = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])
    near = -abs(place[:, None] - place[None])
    label = np.array([0, 0, 1, 1, 1, 0])
    scores = make_scores(near, sign=results.NEAR).assign_coords(train_label=("train", label))
    assert neighbour_disagreement(scores, 2).values.tolist() == [0.5, 0.5, 1.0, 0.5, 0.5, 1.0]
    shuffled = scores.isel(query=[3, 1, 0, 5, 4, 2])
    assert neighbour_disagreement(shuffled, 2).values.tolist() == neighbour_disagreement(scores, 2).values.tolist()
    with pytest.raises(ValueError, match="k must lie between 1 and 5"):
        neighbour_disagreement(scores, 6)
    with pytest.raises(results.ResultError, match="training examples for themselves"):
        neighbour_disagreement(scores.isel(query=[0, 1]), 1)
    with pytest.raises(results.ResultError, match="says which are far"):
        neighbour_disagreement(scores.assign_attrs(sign=results.FAR), 1)


def probabilities(n: int = 30) -> xr.DataArray:
    generator = np.random.default_rng(0)
    values = generator.dirichlet(np.ones(3), size=n)
    label = generator.integers(3, size=n)
    loss = -np.log(values[np.arange(n), label])
    coords = {"train": np.arange(n), "train_label": ("train", label), "train_loss": ("train", loss)}
    return xr.DataArray(values, dims=("train", "class"), coords=coords)


@pytest.mark.skipif(importlib.util.find_spec("cleanlab") is None, reason="cleanlab is not installed")
def test_cleanlabs_rankings() -> None:
    given = probabilities()
    values, label = given.values, given["train_label"].values
    own = values[np.arange(len(label)), label]
    others = np.where(np.eye(3, dtype=bool)[label], -np.inf, values).max(1)
    np.testing.assert_allclose(label_quality(given), -(own - others + 1) / 2)
    confidence = label_quality(given, "self_confidence")
    assert np.argsort(confidence.values).tolist() == np.argsort(given["train_loss"].values).tolist()
    table = mislabel_detection({"cleanlab": label_quality(given)}, marks(np.arange(30) < 5))
    assert table["ranking"].tolist() == ["cleanlab", "training loss"]
    with pytest.raises(results.ResultError, match=r"\[train, class\]"):
        label_quality(given.T)


def test_without_cleanlab_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mislabels, "has_cleanlab", lambda: False)
    with pytest.raises(ImportError, match=r"pip install 'whence\[baselines\]'"):
        label_quality(probabilities())

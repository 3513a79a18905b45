"""The spread against numpy and scikit-learn: sound covariances as they are, singular ones shrunk by Ledoit and Wolf."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from whence.embedding import spread as spreads
from whence.embedding.spread import fit_spread, spread_of


def normal(count: int, dimension: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    return torch.randn(count, dimension, generator=generator, dtype=torch.float64) @ mixing + 3


def residuals(x: Tensor, labels: Tensor) -> np.ndarray:
    return np.stack([(x[i] - x[labels == labels[i]].mean(0)).numpy() for i in range(len(x))])


def metric_of(found: spreads.Spread) -> np.ndarray:
    """S⁻¹ as what whitening does to the unit vectors."""
    white = found.whiten(torch.eye(found.dimension, dtype=torch.float64)).numpy()
    return white @ white.T


def shrunk(x: np.ndarray, free: int) -> tuple[np.ndarray, float]:
    """The textbook: S* of residuals, with the intensity of scikit-learn."""
    a = float(ledoit_wolf_shrinkage(x, assume_centered=True))
    covariance = x.T @ x / free
    return (1 - a) * covariance + a * np.trace(covariance) / len(covariance) * np.eye(len(covariance)), a


def test_a_sound_covariance_is_taken_as_it_is() -> None:
    x = normal(60, 5)
    found = fit_spread(x)
    np.testing.assert_allclose(metric_of(found), np.linalg.inv(np.cov(x.T.numpy())), rtol=1e-9)
    assert (found.shrinkage, found.reason, found.means) == (0.0, "", 1)


def test_whitened_embeddings_have_unit_covariance() -> None:
    x = normal(60, 5)
    np.testing.assert_allclose(np.cov(fit_spread(x).whiten(x).T.numpy()), np.eye(5), atol=1e-10)


def test_with_labels_it_is_pooled_within_classes() -> None:
    x, labels = normal(60, 5), torch.arange(60) % 4 + 7
    x = x + 100 * labels[:, None]
    own = residuals(x, labels)
    found = fit_spread(x, labels)
    np.testing.assert_allclose(metric_of(found), np.linalg.inv(own.T @ own / 56), rtol=1e-7)
    assert (found.shrinkage, found.means) == (0.0, 4)


# more examples than dimensions but one dimension idle; fewer; far fewer, where the axes stand for the matrix
@pytest.mark.parametrize(("count", "dimension", "idle"), [(60, 8, 1), (12, 15, 0), (9, 40, 0), (9, 40, 3)])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_singular_covariance_is_shrunk_and_says_so(count: int, dimension: int, idle: int, classes: int) -> None:
    x, labels = normal(count, dimension), torch.arange(count) % classes
    x[:, :idle] = 2.5
    found = fit_spread(x, labels if classes > 1 else None)
    covariance, a = shrunk(residuals(x, labels), count - classes)
    assert found.shrinkage == pytest.approx(a, rel=1e-9)
    assert 0 < found.shrinkage < 1
    assert "singular" in found.reason or "condition number" in found.reason
    np.testing.assert_allclose(metric_of(found), np.linalg.inv(covariance), rtol=1e-6, atol=1e-8 / covariance.max())


def test_a_badly_conditioned_covariance_is_shrunk_and_says_so() -> None:
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 0] *= 1e-3
    assert fit_spread(x).shrinkage == 0
    x[:, 0] *= 1e-3
    found = fit_spread(x)
    assert found.shrinkage > 0
    assert re.search(r"of condition number \de\+12", found.reason)


def test_both_ways_agree() -> None:
    x, labels = normal(10, 40), torch.arange(10) % 2
    whole = fit_spread(x, labels)
    by_factor = spreads._by_factor(spreads._Residuals(x, *_means(x, labels), 8, float(x.square().sum())))
    np.testing.assert_allclose(metric_of(whole), metric_of(by_factor), rtol=1e-8, atol=1e-10)
    assert whole.shrinkage == pytest.approx(by_factor.shrinkage, rel=1e-12)


def _means(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return torch.stack([x[labels == k].mean(0) for k in range(2)]), labels


def test_two_examples_have_no_intensity_of_their_own_and_a_bounded_condition() -> None:
    """The formula gives 0 for x and −x; S would stay singular, so the condition number is held below 1e8."""
    x = torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]], dtype=torch.float64)
    found = fit_spread(x)
    assert found.shrinkage == pytest.approx(3e-8)
    assert np.linalg.cond(metric_of(found)) == pytest.approx(1e8, rel=0.01)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = normal(60, 5), torch.arange(60) % 3
    whole = fit_spread(x, labels).whiten(x)
    monkeypatch.setattr(spreads.blocks, "__defaults__", (200,))
    torch.testing.assert_close(fit_spread(x, labels).whiten(x), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("count", "dimension"), [(60, 5), (9, 40)])
def test_tensors_hold_all_of_it(count: int, dimension: int) -> None:
    x = normal(count, dimension)
    found = fit_spread(x)
    again = spread_of(found.tensors())
    assert torch.equal(again.whiten(x), found.whiten(x))
    assert (again.shrinkage, again.means) == (found.shrinkage, found.means)


@pytest.mark.parametrize("dimension", [2, 40])
def test_no_spread_is_an_error_and_not_a_number(dimension: int) -> None:
    equal = torch.full((6, dimension), 0.1)
    with pytest.raises(ValueError, match="embeddings of each class are all equal"):
        fit_spread(equal)
    with pytest.raises(ValueError, match="give two or more of a class"):
        fit_spread(normal(3, dimension), torch.arange(3))
    broken = normal(6, dimension)
    broken[2, 1] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        fit_spread(broken)


def test_another_dimension_or_too_large_a_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit_spread(normal(20, 4))
    with pytest.raises(ValueError, match="in a spread of dimension 4"):
        found.whiten(torch.zeros(3, 5))
    monkeypatch.setattr(spreads, "LARGEST", 3)
    with pytest.raises(ValueError, match="a covariance of 4 dimensions is too large here"):
        fit_spread(normal(20, 4))

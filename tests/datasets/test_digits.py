"""scikit-learn's digits: shapes, scale, ids, determinism."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from whence.datasets import digits


def test_rows_are_those_of_the_source() -> None:
    train, test = digits()
    source = load_digits()
    assert (len(train), len(test)) == (1200, 597)
    assert sorted([*train.ids, *test.ids]) == list(range(1797))
    for part in (train, test):
        batch = part.take(slice(None))
        assert batch.inputs.shape == (len(part), 1, 8, 8)
        assert batch.inputs.dtype == torch.float32
        assert (float(batch.inputs.min()), float(batch.inputs.max())) == (0, 1)
        assert np.array_equal(batch.inputs[:, 0].numpy() * 16, source.images[part.ids])
        assert batch.targets.dtype == torch.int64
        assert np.array_equal(batch.targets.numpy(), source.target[part.ids])
        assert part.classes == tuple("0123456789")


def test_the_seed_decides() -> None:
    assert np.array_equal(digits()[0].ids, np.random.default_rng(0).permutation(1797)[:1200])
    assert np.array_equal(digits(100, seed=3)[1].ids, digits(100, seed=3)[1].ids)
    assert not np.array_equal(digits(100, seed=3)[0].ids, digits(100, seed=4)[0].ids)


@pytest.mark.parametrize("size", [0, -1, 1797])
def test_impossible_sizes_raise(size: int) -> None:
    with pytest.raises(ValueError, match=r"choose 1 \.\. 1796"):
        digits(train_size=size)

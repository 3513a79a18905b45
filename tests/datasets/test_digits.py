"""scikit-learn's digits: shapes, scale, ids, determinism; and what LabelledData refuses."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from whence.datasets import LabelledData, digits


def test_rows_are_those_of_the_source() -> None:
    train, test = digits()
    source = load_digits()
    assert (len(train), len(test)) == (1200, 597)
    assert sorted([*train.ids, *test.ids]) == list(range(1797))
    for part in (train, test):
        assert part.inputs.shape[1:] == (1, 8, 8)
        assert part.inputs.dtype == torch.float32
        assert np.array_equal(part.inputs[:, 0].numpy() * 16, source.images[part.ids])
        assert np.array_equal(part.targets.numpy(), source.target[part.ids])
    assert (float(train.inputs.min()), float(train.inputs.max())) == (0, 1)


def test_the_seed_decides() -> None:
    assert np.array_equal(digits()[0].ids, np.random.default_rng(0).permutation(1797)[:1200])
    assert np.array_equal(digits(100, seed=3)[1].ids, digits(100, seed=3)[1].ids)
    assert not np.array_equal(digits(100, seed=3)[0].ids, digits(100, seed=4)[0].ids)


@pytest.mark.parametrize("size", [0, -1, 1797])
def test_impossible_sizes_raise(size: int) -> None:
    with pytest.raises(ValueError, match=r"choose 1 \.\. 1796"):
        digits(train_size=size)


def make(**changes: object) -> LabelledData:
    fields: dict[str, object] = {
        "inputs": torch.arange(8.0).reshape(4, 2),
        "targets": torch.tensor([0, 1, 1, 0]),
        "ids": np.array(["a", "b", "c", "d"]),
        "name": "toy",
        "classes": ("no", "yes"),
    }
    return LabelledData(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.arange(3)}, "4 inputs, 4 targets and 3 ids"),
        ({"targets": torch.tensor([0, 1])}, "4 inputs, 2 targets"),
        ({"ids": np.array([1, 2, 2, 3])}, r"such as \[2\]; ids must be unique"),
        ({"ids": np.array([0.5, 1, 2, 3])}, "integers or strings"),
        ({"ids": np.array([[1, 2], [3, 4]])}, "integers or strings"),
        ({"targets": torch.tensor([0, 1, 2, 0])}, "there are 2 classes"),
        ({"targets": torch.tensor([0, -1, 1, 0])}, "run from -1"),
        ({"targets": torch.zeros(4)}, r"targets\.long\(\)"),
        ({"targets": torch.zeros(4, 1)}, r"targets \[n\]"),
        ({"classes": ()}, "without classes"),
        ({"inputs": torch.full((4, 2), float("nan"))}, "NaN"),
    ],
)
def test_unfit_parts_raise(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_subset_keeps_ids_with_their_rows() -> None:
    data = make()
    for rows in ([2, 0], torch.tensor([2, 0]), np.array([-2, 0])):
        part = data.subset(rows)
        assert part.ids.tolist() == ["c", "a"]
        assert part.inputs[:, 0].tolist() == [4, 0]
        assert part.targets.tolist() == [1, 0]
    assert data.subset(data.targets == 1).ids.tolist() == ["b", "c"]
    assert len(data.subset([])) == 0


def test_subset_refuses_what_it_cannot_take() -> None:
    data = make()
    for rows in ([4], [0.5], [True, False], [[0, 1]], 2):
        with pytest.raises(IndexError, match="toy"):
            data.subset(rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unique"):
        data.subset([1, 1])


def test_ids_cannot_be_changed_afterwards() -> None:
    ids = np.arange(4)
    data = make(ids=ids)
    ids[0] = 99
    assert data.ids[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        data.ids[0] = 5


def test_concatenate() -> None:
    data = make()
    joined = data.subset([3]).concatenate(data.subset([0, 1]))
    assert joined.ids.tolist() == ["d", "a", "b"]
    assert joined.inputs[0].tolist() == [6, 7]
    with pytest.raises(ValueError, match="unique"):
        data.concatenate(data)
    with pytest.raises(ValueError, match="differ"):
        data.concatenate(make(ids=np.arange(4)))

"""Rows as a person sees them."""

import numpy as np
import pytest
import torch

from whence.display import Shown, shown
from whence.examples import as_examples

Y = torch.tensor([0, 1])


def test_one_channel_images_lose_the_channel() -> None:
    x = torch.rand(2, 1, 8, 6)
    found = shown(as_examples((x, Y), ids=["a", "b"]), "b")
    assert found.kind == "image"
    assert np.array_equal(found.value, x[1, 0].numpy())


def test_colour_images_have_the_channel_last() -> None:
    assert shown(as_examples((torch.rand(2, 3, 8, 6), Y)), 0).value.shape == (8, 6, 3)


def test_rows_of_numbers_are_features() -> None:
    found = shown(as_examples((torch.tensor([[1.0, 2.0], [3.0, 4.0]]), Y)), 1)
    assert found == Shown("features", {"x0": 3.0, "x1": 4.0})


def test_dict_rows_keep_their_names() -> None:
    data = {"age": torch.tensor([30.0, 40.0]), "y": Y}
    assert shown(as_examples(data), 1) == Shown("features", {"age": 40.0})


@pytest.mark.parametrize(("returned", "kind"), [("hello", "text"), ({"a": 1}, "features"), (np.zeros((2, 2)), "image")])
def test_own_show(returned: object, kind: str) -> None:
    data = as_examples((torch.zeros(2, 3), Y), show=lambda row: returned)
    assert shown(data, 0).kind == kind


def test_own_show_returns_nonsense() -> None:
    data = as_examples((torch.zeros(2, 3), Y), show=lambda row: 7)
    with pytest.raises(TypeError, match="return a string"):
        shown(data, 0)


def test_absent_id() -> None:
    with pytest.raises(KeyError):
        shown(as_examples((torch.zeros(2, 3), Y)), 9)

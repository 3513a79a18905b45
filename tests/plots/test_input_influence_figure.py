"""The picture of input influence: judged by its artists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from artists import texts

from whence import plots
from whence.results import ResultError


def pixels(channels: int | None = 1, examples: int = 3) -> xr.DataArray:
    shape = (2, examples, *(() if channels is None else (channels,)), 5, 4)
    values = np.random.default_rng(1).normal(size=shape)
    names = ["query", "train", *(f"input_{k}" for k in range(len(shape) - 2))]
    coords = {"query": ["q0", "q1"], "train": np.arange(examples) + 10, "train_label": ("train", [7, 1, 3][:examples])}
    attrs = {"method": "influence", "quantity": "change in loss per unit of the training input", "unit": "nats a unit"}
    return xr.DataArray(values, dims=names, coords=coords | {"query_label": ("query", [4, 5])}, attrs=attrs)


def maps(figure: Any) -> list[Any]:
    return [axes.images[0] for axes in figure.axes if axes.images and axes.images[0].get_cmap().name == "RdBu"]


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_every_example_has_its_picture_and_its_map(channels: int | None) -> None:
    asked: list[Any] = []

    def picture(identity: Any) -> Any:
        asked.append(identity)
        return np.zeros((5, 4))

    given = pixels(channels)
    figure = plots.input_influence(given, "q1", picture, query_picture=lambda _: np.ones((5, 4)))
    assert asked == [10, 11, 12]
    drawn = maps(figure)
    expected = given.sel(query="q1").values
    expected = expected if channels is None else expected.sum(1)
    for image, values in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(image.get_array(), values)
        assert image.norm.vmax == -image.norm.vmin == pytest.approx(np.abs(expected).max())
    words = texts(figure)
    assert "id 10\nlabel 7" in words
    assert "Query q1\nlabelled 5" in words
    assert "influence: change in loss per unit of the training input" in words


def test_what_cannot_be_drawn_is_refused() -> None:
    def blank(_: Any) -> Any:
        return np.zeros((5, 4))

    assert "Query q0" in texts(plots.input_influence(pixels(), "q0", blank))
    with pytest.raises(ResultError, match="no query has the id 'q9'"):
        plots.input_influence(pixels(), "q9", blank)
    for wrong in (pixels().isel(input_0=0, input_1=0), pixels(2), pixels().transpose("train", "query", ...)):
        with pytest.raises(ResultError, match="only images can be drawn"):
            plots.input_influence(wrong, "q0", blank)
    many = xr.concat([pixels().assign_coords(train=np.arange(3) + 10 * k) for k in range(3)], "train")
    with pytest.raises(ValueError, match="1 to 8 training examples, not 9"):
        plots.input_influence(many, "q0", blank)

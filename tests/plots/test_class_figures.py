"""Figures of many training examples by class, and of pictures: judged by their artists."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr
from artists import drawn, texts

from whence import plots
from whence.plots import parts, style
from whence.results import ResultError

N = 40
IDS = np.array([f"t{i}" for i in range(N)])
LABEL = np.arange(N) % 4
HOSTILE = np.array(["$x$", "$\\frac{a$", "_^{ a class name that hardly ends anywhere at all", "\n$"])


def row(values: Any, quantity: str = "cosine similarity", unit: str = "", label: Any = LABEL) -> xr.DataArray:
    coords = {"train": IDS[: len(values)], "train_label": ("train", np.asarray(label)[: len(values)])}
    attrs = {"quantity": quantity, "unit": unit}
    return xr.DataArray(np.asarray(values, dtype=float), dims="train", coords=coords, attrs=attrs)


def points(xy: Any, prediction: Any = None, label: Any = LABEL) -> xr.DataArray:
    coords = {"train": IDS[: len(xy)], "train_label": ("train", np.asarray(label)[: len(xy)])}
    if prediction is not None:
        coords["train_prediction"] = ("train", prediction)
    return xr.DataArray(xy, dims=("train", "axis"), coords=coords, attrs={"method": "t-SNE of logits"})


def legend(figure: Any) -> list[str]:
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def offsets(axes: Any) -> Any:
    return np.concatenate([np.asarray(c.get_offsets()) for c in axes.collections])


def test_ten_classes_differ_by_colour_and_marker() -> None:
    marks = style.class_marks(np.arange(100))
    assert len(set(marks.values())) == 100
    ten = list(marks.values())[:10]
    assert len({colour for colour, _ in ten}) == len({marker for _, marker in ten}) == 10
    assert list(style.class_marks(np.array([2, 1]), np.array([1, 0]))) == [0, 1, 2]
    assert list(style.class_marks(np.array(["b", 1], dtype=object))) == [1, "b"]


def test_words_are_no_formulas() -> None:
    assert style.literal("a $x$ b") == r"a \$x\$ b"
    assert style.literal(style.literal("$")) == r"\$"
    assert style.short("n" * 30) == "nnnnnnn…nnnnnnnn"
    assert style.short("a\nb") == "a\\nb"
    assert style.folded(["word " * 8, "", "end"], 2.0).count("\n") > 1


def test_against() -> None:
    x, y = np.linspace(-1, 1, N), np.linspace(3, 5, N)
    other = row(y, "change in loss", "nat").isel(train=slice(None, None, -1))
    figure = plots.against([plots.Versus(row(x), other, "query 7", "r = 0.21"), plots.Versus(row(y), row(x), "two")])
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("cosine similarity", "change in loss (nat)")
    assert left.get_title() == "query 7\nn = 40, r = 0.21"
    assert drawn(left) == drawn(right) == N
    found = offsets(left)
    assert found[:, 1] == pytest.approx(4 + found[:, 0])
    assert legend(figure) == ["0", "1", "2", "3"]
    colours = {tuple(c.get_facecolor()[0]) for c in left.collections}
    assert len(colours) == 4
    # Zero lies among the x of the left panel and the y of the right one only.
    assert (len(left.lines), len(right.lines)) == (1, 1)


def test_against_at_the_edges() -> None:
    values = np.where(np.arange(N) < 3, np.nan, 1.0)
    hostile = row(values, "$q$", "$\\frac$", HOSTILE[LABEL])
    figure = plots.against([plots.Versus(hostile, hostile, "$x$ " * 40), plots.Versus(row([]), row([]), "none")])
    figure.draw_without_rendering()
    assert drawn(figure.axes[0]) == N - 3
    words = texts(figure)
    assert "3 without a finite value, not drawn" in words
    assert "no example with finite values" in words
    assert max(len(name) for name in legend(figure)) <= 20


def test_against_refuses() -> None:
    good = row(np.ones(N))
    for wrong, message in (
        (good.isel(train=slice(3, None)), "3 train ids stand in only one"),
        (good.expand_dims("query"), "dimensions"),
        (good.drop_vars("train"), "no ids"),
        (good.assign_coords(train=np.zeros(N, dtype=int)), "unique"),
        (good.drop_attrs(), "quantity"),
    ):
        with pytest.raises(ResultError, match=message):
            plots.against([plots.Versus(good, wrong, "")])
    bare = good.drop_vars("train_label")
    with pytest.raises(ResultError, match="train_label"):
        plots.against([plots.Versus(bare, bare, "")])
    assert drawn(plots.against([plots.Versus(bare, good, "")]).axes[0]) == N
    for count in (0, 4):
        with pytest.raises(ValueError, match="1 to 3 panels"):
            plots.against([plots.Versus(good, good, "")] * count)


def test_embedding_map() -> None:
    xy = np.random.default_rng(0).normal(size=(N, 2)) + 10 * LABEL[:, None]
    prediction = LABEL.copy()
    prediction[:4] = 3
    queries = xr.DataArray([[0.0, 0.0], [np.nan, 1.0]], dims=("query", "axis"), coords={"query": ["q0", "q1"]})
    named = points(xy, prediction).assign_coords(axis=["PC 1", "PC 2"])
    figure = plots.embedding_map([plots.Embedding(named, queries), plots.Embedding(points(xy), title="labels")])
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_ylabel()) == ("PC 1", "axis 2")
    assert left.get_title() == "t-SNE of logits\nn = 40, 3 wrongly predicted"
    assert right.get_title() == "labels\nn = 40"
    # All points, three rings and one star.
    assert drawn(left) == N + 3 + 1
    assert drawn(right) == N
    names = {text.get_text(): text.get_position() for text in left.texts}
    assert set(names) == {"0", "1", "2", "3", "query q0"}
    assert names["2"] == pytest.approx(np.median(xy[prediction == 2], axis=0))
    assert legend(figure) == ["0", "1", "2", "3", "wrongly\npredicted", "query"]
    assert figure.legends[0].get_title().get_text() == "predicted class"


def test_names_on_a_map_do_not_overlap() -> None:
    queries = xr.DataArray([[1.0, 1.0]], dims=("query", "axis"), coords={"query": ["$q$"]})
    figure = plots.embedding_map([plots.Embedding(points(np.ones((N, 2)), label=HOSTILE[LABEL]), queries)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_boxes_apart_leave_the_fixed_where_they_are() -> None:
    places = parts.apart(np.zeros((4, 2)), np.ones((4, 2)), 3)
    assert places[3].tolist() == [0, 0]
    assert (np.diff(np.sort(places[:, 1])) > 1 - 1e-3).all()


def test_embedding_map_at_the_edges() -> None:
    xy = np.where(np.arange(6)[:, None] < 2, np.nan, 1.0) * np.ones(2)
    figure = plots.embedding_map([plots.Embedding(points(xy)), plots.Embedding(points(np.ones((0, 2))))])
    figure.draw_without_rendering()
    assert "2 without finite coordinates, not drawn" in texts(figure)
    assert "no point with finite coordinates" in texts(figure)
    with pytest.raises(ResultError, match="two axes"):
        plots.embedding_map([plots.Embedding(points(np.ones((N, 3))))])
    with pytest.raises(ResultError, match="train_label"):
        plots.embedding_map([plots.Embedding(points(xy).drop_vars("train_label"))])
    with pytest.raises(ResultError, match="dimensions"):
        plots.embedding_map([plots.Embedding(points(xy), points(xy))])


def test_outlier_boxes() -> None:
    values = np.arange(N) - 10.0
    far = xr.DataArray(np.arange(N) < 4, dims="train", coords={"train": IDS})
    scores = row(values, "change in loss", "nat")
    figure = plots.outlier_boxes(
        [plots.FarAndNear(scores, far[::-1], "query 1"), plots.FarAndNear(scores * np.nan, far.values, "query 2")]
    )
    left, right = figure.axes
    assert left.get_ylabel() == "size of the change in loss (nat)"
    ticks = [tick.get_text() for tick in left.get_xticklabels()]
    assert ticks[0].endswith("n = 4\nmedian 8.5")
    assert ticks[1] == f"the rest\nn = 36\nmedian {np.median(np.abs(values[4:])):.2g}"
    medians = [line.get_ydata()[0] for line in left.lines if line.get_linewidth() == 1.6]
    assert medians == pytest.approx([8.5, np.median(np.abs(values[4:]))])
    assert left.get_yscale() == "linear"
    assert "no example with a finite value" in texts(figure)
    assert "40 without a finite value left out" in right.get_title()


def test_outlier_boxes_on_a_logarithmic_axis() -> None:
    values = row(np.append(10.0 ** -np.arange(10), 0.0))
    figure = plots.outlier_boxes([plots.FarAndNear(values, np.arange(11) < 2, "$x$")], ("$far$", "near"))
    figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == "log"
    assert "1 of size 0 lie below the axis" in figure.axes[0].get_title()
    with pytest.raises(ResultError, match="bool"):
        plots.outlier_boxes([plots.FarAndNear(values, np.arange(11), "")])
    with pytest.raises(ResultError, match="only one"):
        plots.outlier_boxes([plots.FarAndNear(values, row(np.ones(5)).astype(bool), "")])


def test_picture_grid() -> None:
    some = [(np.full((8, 8), i), f"label {i}\ncos 0.1") for i in range(10)]
    figure = plots.picture_grid([plots.Panel("low", some), plots.Panel("$high$", some[:1])], "Pixels")
    words = texts(figure)
    assert {"low", r"\$high\$", "Pixels", "label 9", "cos 0.1"} <= set(words.split("\n"))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert [int(image.get_array()[0, 0]) for image in images] == [*range(10), 0]
    left = figure.subfigs[0].axes
    assert len(left) == 12
    assert [axes.get_visible() for axes in left] == [True] * 10 + [False] * 2


def test_pictures_stand_in_line_whatever_is_written() -> None:
    one, two = (np.zeros((8, 8)), "one\ntwo"), (np.zeros((8, 8, 3)), "")
    figure = plots.picture_grid([plots.Panel("a heading of several lines, all in all", [one]), plots.Panel("", [two])])
    figure.draw_without_rendering()
    left, right = (axes.get_window_extent() for axes in figure.axes)
    assert (left.y0, left.y1) == pytest.approx((right.y0, right.y1), abs=2)


def test_picture_grid_at_the_edges() -> None:
    assert "no pictures" in texts(plots.picture_grid([plots.Panel("nothing", [])]))
    with pytest.raises(ValueError, match="reshape"):
        plots.picture_grid([plots.Panel("", [(np.zeros(16), "")])])
    with pytest.raises(ValueError, match="reshape"):
        plots.picture_grid([plots.Panel("", [(np.zeros((3, 8, 8)), "")])])
    with pytest.raises(ValueError, match="panels"):
        plots.picture_grid([])


@pytest.mark.parametrize(("shift", "lines"), [(0.0, 1), (0.9, 0)])
def test_a_zero_line_squeezes_no_similarities(scores, shift: float, lines: int) -> None:
    similar = scores.copy(data=shift + 0.1 * np.abs(scores.values) / np.abs(scores.values).max())
    (axes,) = plots.influence_by_class(similar.assign_attrs(quantity="cosine similarity", unit=""), "q0").axes
    assert sum(list(line.get_ydata()) == [0, 0] for line in axes.lines) == lines
    assert (axes.get_ylim()[0] > 0.5) == (lines == 0)


def test_a_query_keeps_its_name(scores) -> None:
    named = scores.assign_coords(query=["Q0", "q1"], query_label=("query", ["Truck", "$x$"]))
    figure = plots.influence_by_class(named, "Q0")
    assert "Query Q0, labelled Truck" in figure.axes[0].get_title()
    plots.influence_by_class(named, "q1").draw_without_rendering()

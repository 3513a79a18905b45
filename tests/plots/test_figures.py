"""Every figure shows what it was given: judged by its artists, not by its pixels."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from artists import drawn, texts

from whence import plots
from whence.evaluation import agreement
from whence.results import ResultError


def test_importing_plots_does_not_import_matplotlib() -> None:
    code = "import sys, whence.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_predicted_against_actual(scores, truth) -> None:
    table = agreement(scores, truth)
    figure = plots.predicted_against_actual(scores, truth, "q1", table)
    (axes,) = figure.axes
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[0] == -axes.get_xlim()[1]
    assert axes.get_xlim()[1] > 2 * np.abs(scores.sel(query="q1").values[:20]).max()
    assert axes.get_aspect() == 1
    assert drawn(axes) == 20
    assert any(np.array_equal(line.get_xdata(), line.get_ydata()) for line in axes.lines)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["most influential", "random"]
    title = axes.get_title()
    assert "Query q1, labelled 2, predicted 0" in title
    assert "influence, from scratch refits" in title
    assert "most influential: n = 10, r = 1.0000 [1.0000, 1.0000]" in title
    assert "hollow: refit not converged (1)" in axes.get_xlabel()
    assert "actual change in loss (nat)" in axes.get_xlabel()
    assert axes.get_ylabel() == "predicted change in loss (nat)"
    points = np.concatenate([np.asarray(c.get_offsets()) for c in axes.collections])
    assert points[:, 0] == pytest.approx(2 * points[:, 1])


def test_predicted_against_actual_differs_by_marker_and_colour(scores, truth) -> None:
    (axes,) = plots.predicted_against_actual(scores, truth.drop_vars("converged"), "q0").axes
    first, second = axes.collections
    assert not np.array_equal(first.get_facecolor(), second.get_facecolor())
    assert len(first.get_paths()[0].vertices) != len(second.get_paths()[0].vertices)


def test_predicted_against_actual_of_subsets_and_of_nothing(scores, truth) -> None:
    pairs = truth.drop_vars(["chosen", "converged"])
    pairs["member"][0, :2] = True
    (axes,) = plots.predicted_against_actual(scores.isel(train=slice(None, None, -1)), pairs, "q0").axes
    assert axes.get_legend() is None
    values = scores.sel(query="q0").values
    assert axes.collections[0].get_offsets()[0].tolist() == pytest.approx([2 * values[0], values[0] + values[1]])
    figure = plots.predicted_against_actual(scores, pairs.assign(effect=pairs["effect"] * np.nan), "q0")
    assert "no removal has a finite effect" in texts(figure)
    assert "20 without a finite value" in texts(figure)


def test_predicted_against_actual_refuses(scores, truth) -> None:
    with pytest.raises(ResultError, match="no query has the id 'q9'"):
        plots.predicted_against_actual(scores, truth, "q9")
    with pytest.raises(ResultError, match="does not hold the query"):
        plots.predicted_against_actual(scores, truth.isel(query=[0]), "q1")
    with pytest.raises(ResultError, match="rank_only"):
        plots.predicted_against_actual(scores.assign_attrs(unit="bit"), truth, "q0")
    with pytest.raises(ResultError, match="lack 1 train ids of the truth"):
        plots.predicted_against_actual(scores.drop_sel(train="t3"), truth, "q0")
    table = agreement(scores, truth)
    with pytest.raises(ResultError, match="no row"):
        plots.predicted_against_actual(scores.assign_attrs(method="other"), truth, "q0", table)


def test_influence_by_class(scores) -> None:
    values = scores.values.copy()
    values[1, 0] = np.nan
    figure = plots.influence_by_class(scores.copy(data=values), "q1")
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0\nn = 9", "1\nn = 10", "2\nn = 10"]
    assert len(axes.patches) == 3
    assert len({patch.get_facecolor() for patch in axes.patches}) == 3
    assert axes.get_ylabel() == "change in loss (nat)"
    assert "1 examples without a finite score left out" in axes.get_title()
    assert {"the query's label", "the model's prediction"} <= set(texts(figure).split("\n"))
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_linewidth() == 1.6]
    expected = [np.nanmedian(values[1, label::3]) for label in range(3)]
    assert medians == pytest.approx(expected)


def test_influence_by_class_at_the_edges(scores) -> None:
    one = plots.influence_by_class(scores.isel(train=scores["train_label"].values == 1), "q0")
    assert "the query's label and prediction" in texts(one)
    assert len(one.axes[0].patches) == 1
    empty = plots.influence_by_class(scores.copy(data=scores.values * np.nan), "q0")
    assert "no training example has a finite score" in texts(empty)
    with pytest.raises(ResultError, match="train_label"):
        plots.influence_by_class(scores.drop_vars("train_label"), "q0")


def test_class_names_do_not_overlap(scores) -> None:
    names = np.array(["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"])
    figure = plots.influence_by_class(scores.assign_coords(train_label=("train", np.tile(names, 3))), "q0")
    figure.draw_without_rendering()
    boxes = [tick.get_window_extent() for tick in figure.axes[0].get_xticklabels()]
    assert len(boxes) == 10
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_gallery(scores) -> None:
    asked: list[Any] = []

    def picture(identity: Any) -> Any:
        asked.append(identity)
        return np.full((8, 8), len(asked), dtype=float)

    figure = plots.gallery(scores, "q1", picture, k=4, query_picture=lambda _: np.zeros((8, 8)))
    order = np.argsort(-scores.sel(query="q1").values)
    names = scores["train"].values
    assert asked == [*names[order[:4]], *names[order[::-1][:4]]]
    assert sum(len(axes.images) for axes in figure.axes) == 9
    words = texts(figure)
    assert "Query q1\nlabelled 2\npredicted 0" in words
    assert "most helpful" in words
    assert "most harmful" in words
    assert f"{scores.sel(query='q1').values.max():+.2e} nat" in words
    assert f"label {order[0] % 3}\nid t{order[0]}" in words
    assert "influence: change in loss (nat)" in words


def test_gallery_says_what_is_missing(scores) -> None:
    values = np.abs(scores.values)
    values[:, 5:] = np.nan
    figure = plots.gallery(scores.copy(data=values), "q0", lambda _: np.zeros((4, 4, 3)), k=7)
    words = texts(figure)
    assert "most helpful: only 5 with such a score" in words
    assert "no harmful example" in words
    assert "25 examples without a finite score left out" in words
    assert sum(len(axes.images) for axes in figure.axes) == 5
    with pytest.raises(ValueError, match="k must be"):
        plots.gallery(scores, "q0", lambda _: np.zeros((4, 4)), k=0)
    with pytest.raises(ValueError, match="reshape"):
        plots.gallery(scores, "q0", lambda _: np.zeros(16))


def test_regression_lines() -> None:
    x = np.linspace(0, 1, 12)
    lines = {"with it": (0.0, 0.5), "without it": (0.1, 1.0)}
    (axes,) = plots.regression_lines(x, x, {"outlier": (3.0, 0.0)}, lines, ("input", "output")).axes
    assert drawn(axes) == 13
    for line, (name, (intercept, slope)) in zip(axes.lines, lines.items(), strict=True):
        assert line.get_label() == name
        assert line.get_ydata() == pytest.approx(intercept + slope * line.get_xdata())
        assert line.get_xdata()[1] > 3
    assert len({line.get_linestyle() for line in axes.lines}) == 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("input", "output")
    assert "no points" in texts(plots.regression_lines(x[:0], x[:0], {}, {}))
    with pytest.raises(ValueError, match="one length"):
        plots.regression_lines(x, x[1:], {}, {})


def test_point_influence(scores) -> None:
    xy = np.random.default_rng(0).normal(size=(30, 2))
    row = scores.sel(query="q0")
    row = row.copy(data=np.where(np.arange(30) == 4, np.nan, row.values))
    figure = plots.point_influence(xy, np.arange(30) % 2, row, ["t3"])
    axes, bar = figure.axes
    assert drawn(axes) == 30 + 1
    words = texts(figure)
    assert {"class 0", "class 1", "no finite value", "t3"} <= set(words.split("\n"))
    assert bar.get_ylabel() == "change in loss (nat)"
    largest = np.nanmax(np.abs(row.values))
    assert axes.collections[0].get_clim() == pytest.approx((-largest, largest))
    strongest = np.nanargmax(np.abs(row.values))
    sizes = np.concatenate([c.get_sizes() for c in axes.collections if c.get_array() is not None])
    assert sizes.max() == pytest.approx(axes.collections[2 * (strongest % 2)].get_sizes()[0])
    with pytest.raises(ResultError, match="no point has the ids"):
        plots.point_influence(xy, np.arange(30) % 2, row, ["nobody"])
    with pytest.raises(ValueError, match=r"\[n, 2\]"):
        plots.point_influence(xy[:5], np.arange(30) % 2, row)


@pytest.mark.parametrize("n", [0, 1])
def test_point_influence_of_hardly_any_points(n: int) -> None:
    figure = plots.point_influence(np.zeros((n, 2)), np.zeros(n), np.zeros(n), range(n))
    assert ("no points" in texts(figure)) == (n == 0)


def test_saved_files_are_whole_and_repeatable(scores, tmp_path) -> None:
    first = plots.save_figure(plots.influence_by_class(scores, "q0"), tmp_path / "a", "classes")
    second = plots.save_figure(plots.influence_by_class(scores, "q0"), tmp_path / "b", "classes")
    assert first == tmp_path / "a" / "classes.png"
    assert first.read_bytes()[:4] == b"\x89PNG"
    assert first.with_suffix(".svg").read_bytes() == second.with_suffix(".svg").read_bytes()
    assert b"<svg" in first.with_suffix(".svg").read_bytes()
    figure = plots.influence_by_class(scores, "q0")
    engine = figure.get_layout_engine()
    plots.save_figure(figure, tmp_path / "c", "classes")
    assert engine is not None
    assert type(figure.get_layout_engine()) is type(engine)
    for wrong in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="plain name"):
            plots.save_figure(plots.influence_by_class(scores, "q0"), tmp_path, wrong)

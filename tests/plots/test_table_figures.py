"""Figures of curves, weights and tables: judged by their artists."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from artists import drawn, texts

from whence import plots
from whence.results import ResultError


def change(values: Any, names: Any, **attrs: Any) -> xr.DataArray:
    return xr.DataArray(values, dims="parameter", coords={"parameter_name": ("parameter", names)}, attrs=attrs)


def test_training_curves() -> None:
    steps = np.arange(5)
    curves = {"train": (steps, 1.0 / (1 + steps)), "$test$": (steps, np.array([1, 0.5, np.nan, 0.0, -1]))}
    (axes,) = plots.training_curves(curves, axis_labels=("epoch", "loss (nat)"), title="Predictor").axes
    assert axes.get_yscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss (nat)")
    assert axes.get_title() == "Predictor\n3 values not finite or not above 0, not drawn"
    first, second = axes.lines
    assert first.get_ydata() == pytest.approx(1.0 / (1 + steps))
    assert np.isfinite(second.get_ydata()).sum() == 2
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", r"\$test\$"]


def test_training_curves_at_the_edges() -> None:
    (axes,) = plots.training_curves({"noisy": (np.arange(5000), -np.ones(5000))}, log=False).axes
    assert axes.get_yscale() == "linear"
    assert axes.lines[0].get_linewidth() < 1
    assert "no curves" in texts(plots.training_curves({}))
    nothing = plots.training_curves({"a": (np.ones(1), np.zeros(1))})
    nothing.draw_without_rendering()
    assert "no finite values" in texts(nothing)
    with pytest.raises(ValueError, match="one length"):
        plots.training_curves({"a": (np.ones(2), np.ones(3))})


def test_weight_changes() -> None:
    names = ["h1.weight"] * 20 + ["h1.bias"] * 2 + ["logits.weight"] * 25
    values = np.linspace(-1, 2, 47)
    figure = plots.weight_changes(
        [
            plots.WeightChange(change(values, names), "continued"),
            plots.WeightChange(change(3 * values, names, norm=4.491), "$x$"),
        ]
    )
    figure.draw_without_rendering()
    left, right, *bars = figure.axes
    assert left.get_title() == f"continued\n47 parameters, Euclidean norm {np.linalg.norm(values):.4g}"
    assert right.get_title().endswith("norm 4.491")
    (image,) = left.images
    pixels = np.ma.filled(image.get_array(), np.nan)
    assert pixels.shape == (7, 7)
    assert pixels.ravel()[:47] == pytest.approx(values)
    assert np.isnan(pixels.ravel()[47:]).all()
    assert image.get_clim() == pytest.approx((-2, 2))
    assert right.images[0].get_clim() == pytest.approx((-6, 6))
    assert [text.get_text() for text in left.texts] == ["h1", "logits"]
    # The second layer begins at pixel 22: the fourth row, second column.
    (edge,) = left.lines
    assert np.column_stack([edge.get_xdata(), edge.get_ydata()]).tolist() == [
        [-0.5, 3.5],
        [0.5, 3.5],
        [0.5, 2.5],
        [6.5, 2.5],
    ]
    assert [bar.get_ylabel() for bar in bars] == ["change of the parameter"] * 2


def test_weight_changes_of_few_large_values_and_many_layers() -> None:
    values = np.full(2000, 0.1)
    values[0] = 100.0
    names = [f"$layer{i // 8}$.weight" for i in range(2000)]
    figure = plots.weight_changes([plots.WeightChange(change(values, names), "many")])
    figure.draw_without_rendering()
    axes, bar = figure.axes
    assert axes.images[0].get_clim()[1] == pytest.approx(0.1)
    assert "layers not named" in axes.get_xlabel()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) > 10
    assert all(low.y1 <= high.y0 + 4 for low, high in itertools.pairwise(boxes))
    assert bar.get_ylabel()


def test_weight_changes_at_the_edges() -> None:
    nothing = change([], np.array([], dtype=str)), change([np.nan], ["w"])
    figure = plots.weight_changes([plots.WeightChange(part, "none") for part in nothing])
    assert texts(figure).count("no parameter with a finite change") == 2
    still = plots.weight_changes([plots.WeightChange(change(np.zeros(3), ["w"] * 3), "still")])
    assert still.axes[0].images[0].get_clim() == (-1, 1)
    with pytest.raises(ResultError, match="parameter_name"):
        plots.weight_changes([plots.WeightChange(xr.DataArray(np.ones(3), dims="parameter"), "")])
    with pytest.raises(ValueError, match="panels"):
        plots.weight_changes([])


def test_heat_table() -> None:
    table = pd.DataFrame({"pixels": [0.5, np.nan], "logits": [-0.9, -0.001]}, index=["cosine", "centroid"])
    figure = plots.heat_table({"query 1": table, "query 2": table / 2}, "Pearson's r", 1.0)
    left, right, bar = figure.axes
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("query 1", "query 2", "Pearson's r")
    assert [text.get_text() for text in left.texts] == ["0.50", "−0.90", "–", "0.00"]
    assert [text.get_color() for text in left.texts][:2] == ["#222222", "white"]
    assert left.images[0].get_clim() == right.images[0].get_clim() == (-1, 1)
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["pixels", "logits"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["cosine", "centroid"]


def test_heat_table_at_the_edges() -> None:
    hostile = pd.DataFrame(np.zeros((1, 3)), index=["$\\frac$"], columns=["$x$", "a very long name of a layer", "c"])
    figure = plots.heat_table({"$x$": hostile, "empty": pd.DataFrame()})
    figure.draw_without_rendering()
    assert "an empty table" in texts(figure)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert figure.axes[0].get_xticklabels()[0].get_rotation() == 45
    gone = plots.heat_table(pd.DataFrame({"a": [np.nan, np.inf]}))
    assert [text.get_text() for text in gone.axes[0].texts] == ["–", "–"]
    with pytest.raises(ValueError, match=r"\['name'\] hold no numbers"):
        plots.heat_table(pd.DataFrame({"name": ["a"], "r": [1.0]}))
    with pytest.raises(ValueError, match="panels"):
        plots.heat_table({})


def ranked() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["low", "$top$", "gone", "bare"],
            "value": [-0.2, 0.8, np.nan, 0.1],
            "low": [-0.3, 0.7, np.nan, np.nan],
            "high": [-0.1, 0.9, np.nan, np.nan],
        }
    )


def test_ranked_bars() -> None:
    table = ranked().assign(reference=[np.nan, 0.742, np.nan, 0.1])
    figure = plots.ranked_bars(table, "Spearman's ρ", "Held-out queries", "thesis, Table 5.1")
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [r"\$top\$", "bare", "low", "gone"]
    words = ["0.800 [0.700, 0.900]", "0.100", "−0.200 [−0.300, −0.100]", "no value"]
    assert [text.get_text() for text in axes.texts] == words
    assert (axes.get_xlabel(), axes.get_title()) == ("Spearman's ρ", "Held-out queries")
    bars, points, hollow = axes.collections
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[0.7, 0.9], [-0.3, -0.1]]
    assert np.ma.filled(points.get_offsets(), np.nan)[:3].tolist() == [[0.8, 0], [0.1, 1], [-0.2, 2]]
    assert np.ma.filled(hollow.get_offsets(), np.nan)[:2].tolist() == [[0.742, 0], [0.1, 1]]
    assert any(list(line.get_xdata()) == [0, 0] for line in axes.lines)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["measured", "thesis, Table 5.1"]


def test_ranked_bars_at_the_edges() -> None:
    figure = plots.ranked_bars(ranked())
    figure.draw_without_rendering()
    assert figure.legends == []
    assert "an empty table" in texts(plots.ranked_bars(ranked()[:0]))
    with pytest.raises(ValueError, match=r"lacks the columns \['low'\]"):
        plots.ranked_bars(ranked().drop(columns="low"))


def sweep() -> pd.DataFrame:
    damping = np.array([1.0, 0.0, 0.01, 0.1])
    tables = [pd.DataFrame({"method": name, "damping": damping, "value": 0.9 - damping}) for name in ("$a$", "b")]
    return pd.concat(tables)


def test_damping_sweep() -> None:
    table = sweep()
    figure = plots.damping_sweep(table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1), "r", "Query 7")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("damping", "r", "Query 7")
    line, zero, *_ = axes.lines
    assert line.get_xdata().tolist() == [0.01, 0.1, 1.0]
    assert line.get_ydata() == pytest.approx([0.89, 0.8, -0.1])
    assert zero.get_xdata() == pytest.approx([0.001])
    assert zero.get_ydata() == pytest.approx([0.9])
    assert axes.get_xticklabels()[0].get_text() == "0"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [r"\$a\$", "b"]
    # A band and a line at 0 for each method.
    assert len(axes.collections) == 4
    assert drawn(axes) >= 0


def test_damping_sweep_at_the_edges() -> None:
    table = sweep()
    figure = plots.damping_sweep(table[table["damping"] > 0])
    figure.draw_without_rendering()
    assert len(figure.axes[0].collections) == 0
    assert "no finite value" in texts(plots.damping_sweep(table[:0]))
    only = plots.damping_sweep(table[table["damping"] == 0])
    only.draw_without_rendering()
    assert [tick.get_text() for tick in only.axes[0].get_xticklabels()] == ["0"]
    for wrong, message in (
        (table.drop(columns="value"), "lacks the columns"),
        (table.assign(damping=-1.0), "at least 0"),
        (pd.concat([table, table]), "several rows"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.damping_sweep(wrong)


def test_new_figures_can_be_saved(tmp_path) -> None:
    table = pd.DataFrame({"$x$": [0.1]}, index=["$\\frac$"])
    path = plots.save_figure(plots.heat_table(table), tmp_path, "heat")
    assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")


def removals() -> pd.DataFrame:
    table = pd.DataFrame([(name, k, 0.1 * k) for name in ("influence", "random") for k in (5, 1, 20)])
    table.columns = ["ranking", "k", "effect"]
    return table


def test_removal_curves() -> None:
    table = removals()
    bounds = {"effect_low": table["effect"] - 0.1, "effect_high": table["effect"] + 0.1}
    figure = plots.removal_curves(table.assign(**bounds), "change in loss (nats)", "What is lost")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert (axes.get_ylabel(), axes.get_title()) == ("change in loss (nats)", "What is lost")
    mine, chance, zero = axes.lines
    assert mine.get_xdata().tolist() == [1, 5, 20]
    assert mine.get_ydata() == pytest.approx([0.1, 0.5, 2.0])
    assert (mine.get_linestyle(), chance.get_linestyle()) == ("-", "--")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "5", "20"]
    assert zero.get_ydata() == [0, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["influence", "random"]
    assert len(axes.collections) == 2


def test_removal_curves_at_the_edges() -> None:
    assert "no removals" in texts(plots.removal_curves(removals()[:0]))
    assert len(plots.removal_curves(removals()).axes[0].collections) == 0
    with pytest.raises(ValueError, match="lacks the columns"):
        plots.removal_curves(removals().drop(columns="k"))
    with pytest.raises(ValueError, match="several rows"):
        plots.removal_curves(pd.concat([removals(), removals()]))

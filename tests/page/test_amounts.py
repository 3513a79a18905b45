"""Point 4: a person sees how much: by class, against refits, and any two numbers against each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from seen import apart, canvas, chart, columns, correlations, frame, query, tooltip, traces, unpacked
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]


def position(server: Explored, page: Page) -> int:
    return columns(server, "queries")["id"].index(query(page))


def scores(server: Explored, at: int, method: str) -> Any:
    return unpacked(server.get("/api/scores", query=at, method=method)["values"]).astype(float)


@pytest.mark.parametrize("name", ["pictures", "texts", "features"])
def test_boxes_hold_the_quartiles_of_each_class(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    page = visit(server, "#view=much")
    boxes, _ = traces(chart(page, "boxes"))
    values = scores(server, position(server, page), "scores")
    labels, classes = columns(server, "train")["label"], server.get("/api/about")["classes"]
    present = sorted(set(labels.tolist()))
    assert boxes["x"] == present
    for at, label in enumerate(present):
        expected = np.quantile(values[labels == label], [0.25, 0.5, 0.75])
        assert [boxes[name][at] for name in ("q1", "median", "q3")] == pytest.approx(expected.tolist())
    means = {label: values[labels == label].mean() for label in present}
    best = classes[max(present, key=lambda label: means[label])]
    expect(page.get_by_test_id("boxes-title")).to_contain_text(f"examples of {best} help most on average")
    page.get_by_test_id("boxes-all").click()
    expect(page.get_by_test_id("boxes-note")).to_contain_text("furthest")
    expect(chart(page, "boxes").locator(".scatterlayer .trace path.point").first).to_be_visible()


def test_boxes_of_a_regression_are_of_quarters_of_the_target(served: Served, visit: Visit) -> None:
    server = served("line")
    page = visit(server, "#view=much")
    boxes, _ = traces(chart(page, "boxes"))
    assert len(boxes["x"]) == 4
    expect(page.get_by_test_id("boxes-title")).to_contain_text("quarter of the target")


@pytest.mark.parametrize("name", ["pictures", "line"])
def test_predicted_stands_against_actual_with_r_its_interval_and_n(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    page = visit(server, "#view=much")
    at, method = position(server, page), server.get("/api/about")["default"]["method"]
    identity, points = traces(chart(page, "predicted-actual"))
    assert identity["x"] == identity["y"]
    about = next(one for one in server.get("/api/about")["methods"] if one["name"] == method)
    told = server.get("/api/actual", query=at, truth=about["truths"][0])
    where, effect = unpacked(told["positions"]), unpacked(told["effect"]).astype(float)
    predicted = scores(server, at, method)[where]
    assert points["x"] == pytest.approx(effect.tolist())
    assert points["y"] == pytest.approx(predicted.tolist())
    rows = server.get("/api/why", query=at, method=method, k=1)["trust"]["agreement"]
    title = page.get_by_test_id("predicted-actual-title").inner_text()
    note = page.get_by_test_id("predicted-actual-note").inner_text()
    for row in rows:
        mine = [sample == row["sample"] for sample in told["sample"]] if told["sample"] else [True] * len(where)
        if row["sample"] == "most influential":
            mine = [sample != "random" for sample in told["sample"]]
        r = np.corrcoef(effect[mine], predicted[mine])[0, 1]
        if sum(mine) == row["n"]:
            assert row["pearson"] == pytest.approx(r, abs=1e-5)
        assert f"n = {row['n']}" in title + note
        assert row["low"] <= row["pearson"] <= row["high"]
    best = max(rows, key=lambda row: row["n"])
    assert correlations(title)[0] == pytest.approx(best["pearson"], abs=2e-3)
    assert len(re.findall(r"r = [−\d.]+ \[[−\d.]+, [−\d.]+\]", title)) == 1


def test_a_method_of_another_unit_is_not_laid_beside_refits(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"), "#view=much&method=loss")
    page.get_by_test_id("predicted-actual").scroll_into_view_if_needed()
    expect(page.get_by_test_id("predicted-actual")).to_contain_text("No refit in this run has the unit of")
    page = visit(served("texts"), "#view=much")
    page.get_by_test_id("predicted-actual").scroll_into_view_if_needed()
    expect(page.get_by_test_id("predicted-actual")).to_contain_text("No refit in this run")


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("score:cosine-2", "score:scores"),  # distance against influence
        ("score:cosine-input", "score:cosine-2"),  # pixel distance against embedding distance
        ("loss", "self_influence"),
        ("score:leverage-corrected", "actual:truth-proximal"),
    ],
)
def test_any_two_columns_stand_against_each_other(served: Served, visit: Visit, x: str, y: str) -> None:
    server = served("pictures")
    page = visit(server, "#view=much")
    at = position(server, page)
    chart(page, "two-columns")
    page.get_by_test_id("column-x").select_option(x)
    page.get_by_test_id("column-y").select_option(y)

    def series(name: str) -> Any:
        kind, _, rest = name.partition(":")
        if kind == "score":
            return scores(server, at, rest)
        if kind == "actual":
            told = server.get("/api/actual", query=at, truth=rest)
            values = np.full(200, np.nan)
            values[unpacked(told["positions"])] = unpacked(told["effect"])
            return values
        return columns(server, "train")[name].astype(float)

    one, other = series(x), series(y)
    known = np.isfinite(one) & np.isfinite(other)
    r = f"{np.corrcoef(one[known], other[known])[0, 1]:.3f}".replace("-", "−")
    # the whole sentence at once: between the two choices the note tells of one old column and one new
    expect(page.get_by_test_id("two-columns-note")).to_contain_text(f"r = {r}, n = {known.sum()} training examples")
    assert (canvas(chart(page, "two-columns"))[..., 3] > 0).sum() > known.sum()


def test_hovering_a_point_shows_its_example(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=much")
    found = chart(page, "predicted-actual")
    _, points = traces(found)
    spots = frame(found).place(points["x"], points["y"])
    at = apart(spots)
    page.mouse.move(*spots[at].tolist())
    told = server.get("/api/actual", query=position(server, page), truth="truth-proximal")
    identity = columns(server, "train")["id"][unpacked(told["positions"])[at]]
    expect(tooltip(page)).to_contain_text(f"Training example {identity}")
    expect(tooltip(page)).to_contain_text("refitted")

"""Point 3: a person sees where: the map of the embedding, the query in it, and its strongest examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import page_programs
import pytest
from playwright.sync_api import Page, expect
from seen import alike, apart, canvas, chart, columns, frame, picture, query, selected, tooltip, traces, unpacked
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]


def places(server: Explored, name: str, side: str = "train") -> tuple[Any, Any]:
    found = server.get("/api/map", name=name)[side]
    return unpacked(found["x"]), unpacked(found["y"])


def painted(page: Page, x: Any, y: Any) -> Any:
    """Which points have ink at their place on the canvas."""
    map_ = chart(page, "map")
    seen, image = frame(map_), canvas(map_)
    at = seen.place(x, y) - (seen.left, seen.top)
    scale = (image.shape[1] / seen.width, image.shape[0] / seen.height)
    column, row = (np.clip((at * scale).astype(int), 0, np.array(image.shape[1::-1]) - 1)).T
    return image[row, column, 3] > 0


@pytest.mark.parametrize("name", ["pictures", "texts", "features"])
def test_every_training_example_is_drawn(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    about = server.get("/api/about")
    page = visit(server, "#view=where")
    for entry in about["maps"]:
        page.get_by_test_id("map-name").select_option(entry["name"])
        expect(page.get_by_test_id("map-note")).to_contain_text(entry["note"])
        x, y = places(server, entry["name"])
        assert painted(page, x, y).all()
        star = places(server, entry["name"], "queries")
        at = columns(server, "queries")["id"].index(query(page))
        *_, last = traces(chart(page, "map"))
        assert (last["x"][0], last["y"][0]) == pytest.approx((star[0][at], star[1][at]))


def test_a_run_without_a_map_says_so(served: Served, visit: Visit) -> None:
    page = visit(served("line"), "#view=where")
    expect(page.get_by_test_id("view-where")).to_contain_text("This run holds no map")


def test_the_strongest_examples_are_ringed(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=where")
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    at = columns(server, "queries")["id"].index(query(page))
    why = server.get("/api/why", query=at, method="scores", k=12)
    _, harmful, helpful, _ = traces(chart(page, "map"))
    for ringed, side in ((harmful, "harmful"), (helpful, "helpful")):
        positions = [row["position"] for row in why[side]]
        assert ringed["x"] == pytest.approx(x[positions].tolist())
        assert ringed["y"] == pytest.approx(y[positions].tolist())
    shapes = chart(page, "map").locator(".scatterlayer .trace path.point")
    expect(shapes).to_have_count(len(why["harmful"]) + len(why["helpful"]) + 1)


def test_colours_say_label_prediction_influence_self_influence_loss(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=where")
    images = {}
    for colour in ("label", "prediction", "influence", "self_influence", "loss", "disagreement"):
        page.get_by_test_id("map-colour").select_option(colour)
        words = {"influence": "influence on query", "self_influence": "self-influence"}.get(colour, colour)
        expect(page.get_by_test_id("map-title")).to_contain_text(words)
        images[colour] = canvas(chart(page, "map"))
        expect(page.get_by_test_id("legend")).to_be_visible()
    for one, image in images.items():
        assert all(one == other or (image != rest).any() for other, rest in images.items())
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    page.get_by_test_id("map-colour").select_option("label")
    expect(page.get_by_test_id("map-title")).to_contain_text("colour: label")
    labels = columns(server, "train")["label"]
    seen, image = frame(chart(page, "map")), canvas(chart(page, "map"))
    at = seen.place(x, y) - (seen.left, seen.top)
    distance = np.linalg.norm(at[:, None] - at[None], axis=-1) + np.diag(np.full(len(at), np.inf))
    alone = np.flatnonzero(distance.min(1) > 10)
    column, row = (at[alone] * image.shape[1] / seen.width).astype(int).T
    inks = image[row, column, :3].astype(float)
    # the middle of a cross or an hourglass is tinted by what is around it; the class's colour is what most points have
    middle = np.array([np.median(inks[labels[alone] == label], axis=0) for label in np.unique(labels[alone])])
    apart_by = np.linalg.norm(middle[:, None] - middle[None], axis=-1) + np.diag(np.full(len(middle), np.inf))
    assert apart_by.min() > 20


def test_hovering_shows_the_example_and_a_click_selects_it(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=where")
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    spots = frame(chart(page, "map")).place(x, y)
    position = apart(spots)
    identity = columns(server, "train")["id"][position]
    page.mouse.move(*spots[position].tolist())
    shown = tooltip(page)
    expect(shown).to_contain_text(f"Training example {identity}")
    _, train, _ = page_programs.pictures()
    inputs = train.select([int(identity)]).take(slice(0, 1)).inputs
    assert alike(picture(shown.get_by_role("img"), 8), inputs[0, 0].numpy()) > 0.9
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_test_id("selected-count")).to_have_text("1 example selected")
    assert selected(page) == [position]
    page.mouse.move(5, 5)
    expect(shown).to_be_hidden()


def test_hovering_a_text_shows_the_text(served: Served, visit: Visit) -> None:
    server = served("texts")
    page = visit(server, "#view=where")
    texts, ids, _ = page_programs.reviews()
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    spots = frame(chart(page, "map")).place(x, y)
    page.mouse.move(*spots[apart(spots)].tolist())
    identity = columns(server, "train")["id"][apart(spots)]
    expect(tooltip(page).locator("q")).to_have_text(texts[ids.index(identity)])


def test_a_lasso_selects_what_lies_inside(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=where")
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    page.get_by_test_id("map-lasso").click()
    seen = frame(chart(page, "map"))
    spots = seen.place(x, y)
    # The border runs down the widest gap between points near the middle, so that none lies on it.
    across = np.sort(spots[:, 0])[50:150]
    gap = int(np.diff(across).argmax())
    border = float(across[gap : gap + 2].mean())
    left, top, bottom = seen.left + 1, seen.top + 1, seen.top + seen.height - 1
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((border, top), (border, bottom), (left, bottom), (left, top)):
        page.mouse.move(*corner, steps=6)
    page.mouse.up()
    inside = np.flatnonzero(spots[:, 0] < border).tolist()
    expect(page.get_by_test_id("selected-count")).to_have_text(f"{len(inside)} examples selected")
    assert selected(page) == inside


def test_the_map_is_zoomed_and_seen_whole_again(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=where")
    map_ = chart(page, "map")
    before = frame(map_)
    page.mouse.move(before.left + before.width / 2, before.top + before.height / 2)
    for _ in range(3):  # a notch of the wheel is about a tenth
        page.mouse.wheel(0, -100)
    whole = before.x[1] - before.x[0]
    page.wait_for_function(
        "([chart, whole]) => chart._fullLayout.xaxis.range[1] - chart._fullLayout.xaxis.range[0] < 0.9 * whole",
        arg=[map_.element_handle(), whole],
    )
    x, y = places(server, page.get_by_test_id("map-name").input_value())
    now = frame(map_)
    within = (x > now.x[0]) & (x < now.x[1]) & (y > now.y[0]) & (y < now.y[1])
    assert 0 < within.sum() < len(x)
    assert painted(page, x[within], y[within]).all()
    page.get_by_test_id("map-reset").click()
    page.wait_for_function(
        "([chart, low]) => Math.abs(chart._fullLayout.xaxis.range[0] - low) < 1e-6",
        arg=[map_.element_handle(), before.x[0]],
    )


def test_examples_are_selected_by_their_ids(served: Served, visit: Visit) -> None:
    server = served("pictures")
    ids = columns(server, "train")["id"]
    page = visit(server, "#view=where")
    chart(page, "map")
    page.get_by_test_id("select-ids").fill(f"{ids[3]}, {ids[9]}")
    page.get_by_test_id("select-ids").press("Enter")
    expect(page.get_by_test_id("selected-count")).to_have_text("2 examples selected")
    assert selected(page) == [3, 9]
    squares, *_ = traces(chart(page, "map"))
    assert len(squares["x"]) == 2
    page.get_by_test_id("clear-selection").click()
    expect(page.get_by_test_id("selection")).to_be_hidden()

"""Point 1: a person picks a prediction from the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import page_programs
import pytest
from playwright.sync_api import Page, expect
from seen import alike, columns, listed, picture, query, shows
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
RUNS = ("pictures", "texts", "features", "line")


def ordered(said: dict[str, Any], values: Any) -> list[str]:
    """All ids, from the smallest value on."""
    return [said["id"][at] for at in np.argsort(values, kind="stable")]


def check_order(page: Page, order: list[str]) -> None:
    """The rows in sight are those of this order, at their places."""
    rows = listed(page)
    assert len(rows) >= min(5, len(order))
    assert rows == {place: order[place] for place in rows}


@pytest.mark.parametrize("name", RUNS)
def test_the_list_begins_with_the_highest_loss_and_says_what_is_known(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    said, about = columns(server, "queries"), server.get("/api/about")
    page = visit(server)
    order = ordered(said, -said["loss"])
    check_order(page, order)
    expect(page.get_by_test_id("query-count")).to_have_text(f"{len(order)} predictions")
    page.get_by_test_id("query-list").press("Home")
    first = page.get_by_test_id(f"query-{order[0]}")
    expect(first).to_contain_text(order[0])
    expect(first).to_contain_text("loss ")
    if about["task"] == "classification":
        at = said["id"].index(order[0])
        expect(first).to_contain_text(about["classes"][said["prediction"][at]])
        expect(first).to_contain_text("%")
        expect(first).to_contain_text(f"✗ not {about['classes'][said['label'][at]]}")


def test_a_row_shows_the_picture_of_its_query(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    _, _, queries = page_programs.pictures()
    first = query(page)
    inputs = queries.select([int(first)]).take(slice(0, 1)).inputs
    tile = page.get_by_test_id(f"query-{first}").get_by_role("img")
    assert alike(picture(tile, 8), inputs[0, 0].numpy()) > 0.95


def test_rows_of_texts_and_features_show_them(served: Served, visit: Visit) -> None:
    page = visit(served("texts"))
    texts, ids, _ = page_programs.reviews()
    first = query(page)
    expect(page.get_by_test_id(f"query-{first}").locator("q")).to_have_text(texts[ids.index(first)])
    page = visit(served("features"))
    expect(page.get_by_test_id(f"query-{query(page)}")).to_contain_text("alcohol ")


def test_the_list_is_sorted_and_filtered(served: Served, visit: Visit) -> None:
    server = served("pictures")
    said = columns(server, "queries")
    label, prediction = said["label"], said["prediction"]
    page = visit(server)
    page.get_by_test_id("filter-sort").select_option("loss-up")
    check_order(page, ordered(said, said["loss"]))
    page.get_by_test_id("filter-sort").select_option("confidence-up")
    check_order(page, ordered(said, said["confidence"]))
    page.get_by_test_id("filter-sort").select_option("run")
    check_order(page, said["id"])
    page.get_by_test_id("filter-right").select_option("wrong")
    expect(page.get_by_test_id("query-count")).to_have_text("20 of 40 predictions")
    wrong = {said["id"][at] for at in np.flatnonzero(label != prediction)}
    assert set(listed(page).values()) <= wrong
    digit = int(label[said["id"].index(next(iter(wrong)))])
    page.get_by_test_id("filter-label").select_option(str(digit))
    kept = {said["id"][at] for at in np.flatnonzero((label == digit) & (label != prediction))}
    expect(page.get_by_test_id("query-count")).to_have_text(f"{len(kept)} of 40 predictions")
    assert set(listed(page).values()) == kept
    page.get_by_test_id("filter-label").select_option("")
    page.get_by_test_id("filter-right").select_option("")
    page.get_by_test_id("filter-prediction").select_option(str(digit))
    assert set(listed(page).values()) == {said["id"][at] for at in np.flatnonzero(prediction == digit)}


def test_filters_that_nothing_passes_say_so(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    page.get_by_test_id("query-id").fill("nothing has this id")
    expect(page.get_by_test_id("query-count")).to_contain_text("No prediction passes")
    page.get_by_test_id("query-id").press("Enter")
    expect(page.get_by_test_id("messages")).to_contain_text("no query with the id nothing has this id")


def test_a_typed_id_a_click_and_arrow_keys_choose(served: Served, visit: Visit) -> None:
    server = served("pictures")
    said = columns(server, "queries")
    order = ordered(said, -said["loss"])
    page = visit(server)
    shows(page, query(page))
    page.get_by_test_id("query-id").fill(order[7])
    page.get_by_test_id("query-id").press("Enter")
    shows(page, order[7])
    expect(page.get_by_test_id("chosen-id")).to_have_text(f"Query {order[7]}")
    page.get_by_test_id("query-id").fill("")
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("ArrowDown")
    shows(page, order[8])
    page.keyboard.press("End")
    shows(page, order[-1])
    expect(page.get_by_test_id(f"query-{order[-1]}")).to_be_in_viewport()
    expect(page.get_by_test_id(f"query-{order[-1]}")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    shows(page, order[0])
    page.get_by_test_id(f"query-{order[2]}").click()
    shows(page, order[2])
    page.get_by_test_id("next").click()
    shows(page, order[3])
    page.get_by_test_id("chosen-id").click()
    page.keyboard.press("k")
    shows(page, order[2])


def test_a_query_that_is_chosen_first_is_the_worst_mistake(served: Served, visit: Visit) -> None:
    said = columns(served("pictures"), "queries")
    wrong = np.flatnonzero(said["label"] != said["prediction"])
    worst = said["id"][wrong[np.argmax(said["loss"][wrong])]]
    shows(visit(served("pictures")), worst)

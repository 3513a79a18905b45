"""Point 2: a person sees why: the most helpful and harmful training examples, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import page_programs
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from seen import alike, columns, correlations, number, picture, query, shows
from tools.explored import Explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]


def position(server: Explored, identity: str) -> int:
    return columns(server, "queries")["id"].index(identity)


def asked(server: Explored, page: Page, method: str) -> dict[str, Any]:
    """What /api/why says of the query that the page shows."""
    return server.get("/api/why", query=position(server, query(page)), method=method, k=12)


def check_cards(cards: Locator, rows: list[dict[str, Any]], classes: list[str] | None) -> None:
    """Every card says what the API says of its training example, in the same order."""
    expect(cards).to_have_count(len(rows))
    for card, row in zip(cards.all(), rows, strict=True):
        assert card.get_attribute("data-id") == str(row["id"])
        assert number(card.get_by_test_id("score").inner_text()) == pytest.approx(row["score"], rel=5e-3)
        words = card.inner_text()
        if classes:
            assert f"labelled {classes[row['label']]}" in words
            assert f"predicted {classes[row['prediction']]}" in words
            assert ("✓" in words) == (row["label"] == row["prediction"])
        actual = card.get_by_test_id("actual")
        if row["actual"] is None:
            expect(actual).to_have_count(0)
        else:
            assert number(actual.inner_text()) == pytest.approx(row["actual"], rel=5e-3)


@pytest.mark.parametrize("name", ["pictures", "texts", "features", "line"])
def test_cards_say_what_the_api_says(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    page = visit(server)
    about = server.get("/api/about")
    method = about["default"]["method"]
    why = asked(server, page, method)
    classes = about["classes"] if about["task"] == "classification" else None
    for side in why["sides"]:
        check_cards(page.get_by_test_id(side).get_by_test_id("card"), why[side], classes)
    trust = page.get_by_test_id("trust")
    expect(trust).to_contain_text(why["trust"]["words"])
    expect(trust).to_contain_text(why["trust"]["solver"])
    unit = next(one["unit"] for one in about["methods"] if one["name"] == method)
    expect(page.get_by_test_id("score").first).to_contain_text(unit)


def test_actual_values_and_agreement_stand_beside_the_predicted(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    why = asked(server, page, "scores")
    assert any(row["actual"] is not None for row in why["helpful"] + why["harmful"])
    rows = why["trust"]["agreement"]
    assert rows
    shown = page.get_by_test_id("agreement").inner_text()
    assert correlations(shown) == pytest.approx([row["pearson"] for row in rows], abs=2e-3)
    assert all(f"n = {row['n']}" in shown for row in rows)
    expect(page.get_by_test_id("actual").first).to_contain_text("refit")


def test_a_run_without_refits_says_that_nothing_tells_how_true_a_score_is(served: Served, visit: Visit) -> None:
    page = visit(served("texts"))
    expect(page.get_by_test_id("trust")).to_contain_text("no refits have checked it")
    expect(page.get_by_test_id("actual")).to_have_count(0)


def test_cards_show_pictures_texts_and_features(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    _, train, _ = page_programs.pictures()
    card = page.get_by_test_id("card").first
    inputs = train.select([int(card.get_attribute("data-id"))]).take(slice(0, 1)).inputs
    assert alike(picture(card.get_by_role("img"), 8), inputs[0, 0].numpy()) > 0.95
    page = visit(served("texts"))
    texts, ids, _ = page_programs.reviews()
    card = page.get_by_test_id("card").first
    expect(card.locator("q")).to_have_text(texts[ids.index(card.get_attribute("data-id"))])
    page = visit(served("features"))
    card = page.get_by_test_id("card").first
    expect(card.get_by_role("row").filter(has_text="alcohol").first).to_be_visible()
    card.get_by_text("more features").click()
    expect(card.get_by_role("row").filter(has_text="proline")).to_be_visible()


def test_the_method_is_switched(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    first = page.get_by_test_id("helpful").get_by_test_id("score").first
    before = first.inner_text()
    page.get_by_test_id("method").select_option("leverage-corrected")
    why = asked(server, page, "leverage-corrected")
    expect(first).not_to_have_text(before)
    expect(page.get_by_test_id("trust")).to_contain_text(why["trust"]["words"])
    check_cards(page.get_by_test_id("helpful").get_by_test_id("card"), why["helpful"], [str(i) for i in range(10)])
    page.get_by_test_id("method").select_option("cosine-2")
    expect(page.get_by_test_id("largest")).to_be_visible()
    largest = asked(server, page, "cosine-2")["helpful"]
    check_cards(page.get_by_test_id("largest").get_by_test_id("card"), largest, [str(i) for i in range(10)])
    expect(page.get_by_test_id("helpful")).to_have_count(0)


def test_two_methods_stand_side_by_side(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    page.get_by_test_id("beside").select_option("leverage-corrected")
    lists = page.get_by_test_id("helpful")
    expect(lists).to_have_count(2)
    for at, method in enumerate(("scores", "leverage-corrected")):
        why = asked(server, page, method)
        check_cards(lists.nth(at).get_by_test_id("card"), why["helpful"], [str(i) for i in range(10)])
    expect(page.get_by_test_id("trust")).to_have_count(2)
    left, right = (lists.nth(at).bounding_box() for at in (0, 1))
    assert abs(left["y"] - right["y"]) < 2
    assert left["x"] + left["width"] <= right["x"]
    expect(page.get_by_text("beside: ▲").first).to_be_visible()
    shows(page, query(page))


def test_a_query_that_changes_changes_the_reasons(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    before = page.get_by_test_id("card").first.get_attribute("data-id")
    order = columns(server, "queries")["id"]
    other = next(identity for identity in order if identity != query(page))
    page.get_by_test_id("query-id").fill(other)
    page.get_by_test_id("query-id").press("Enter")
    shows(page, other)
    first = page.get_by_test_id("card").first
    assert first.get_attribute("data-id") == str(asked(server, page, "scores")["helpful"][0]["id"])
    assert first.get_attribute("data-id") != before


def test_a_prediction_is_shown_completely_only_when_its_texts_are_there(served: Served, visit: Visit) -> None:
    server = served("texts")
    page = visit(server)
    held: list[Route] = []
    page.route("**/api/rows?*", lambda route: held.append(route))
    other = next(identity for identity in columns(server, "queries")["id"] if identity != query(page))
    page.get_by_test_id("query-id").fill(other)
    page.get_by_test_id("query-id").press("Enter")
    texts = page.get_by_test_id("card").locator("q")
    expect(texts.filter(has_text="…").first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-busy", "")
    expect(page.locator("html")).not_to_have_attribute("data-query", other)
    while held:
        held.pop().continue_()
    shows(page, other)
    assert "…" not in texts.all_inner_texts()

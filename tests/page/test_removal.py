"""Point 5: what if these were removed? At once from the stored scores, and verified by a refit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import made_runs
import page_programs
import pytest
from playwright.sync_api import Page, expect
from seen import columns, number, query, selected, shows, unpacked
from tools.explored import Explored, explored

from whence.retraining import Proximal, leave_out

HERE = Path(__file__).parent
Visit = Callable[..., Page]
Served = Callable[[str], Explored]
Copied = Callable[[str], Path]


@pytest.fixture
def able(copied: Copied) -> Callable[[str], object]:
    """A server of a copy of a run, with what refits need."""

    @contextmanager
    def server(name: str) -> Iterator[Explored]:
        model = () if name == "line" else ("--model", f"page_programs:{name}")
        with explored(copied(name), *model, cwd=HERE) as started:
            yield started

    return server


def choose(page: Page, many: int) -> list[int]:
    """Ticks the first cards; their positions."""
    cards = page.get_by_test_id("card").all()[:many]
    for card in cards:
        card.get_by_role("checkbox").check()
    expect(page.get_by_test_id("selected-count")).to_have_text(f"{many} examples selected")
    return [int(card.get_attribute("data-position")) for card in cards]


def test_the_joint_effect_is_the_sum_of_the_scores(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server)
    positions = choose(page, 3)
    assert selected(page) == sorted(positions)
    said = columns(server, "queries")
    at = said["id"].index(query(page))
    sums = [
        float(unpacked(server.get("/api/scores", query=one, method="scores")["values"])[positions].sum())
        for one in range(len(said["id"]))
    ]
    assert number(page.get_by_test_id("joint-here").inner_text()) == pytest.approx(sums[at], rel=6e-3)
    expect(page.get_by_test_id("joint")).to_contain_text("the loss would rise: together they help")
    most = page.get_by_test_id("joint-most").get_by_role("listitem").all()
    order = sorted((one for one in range(len(sums)) if one != at), key=lambda one: -abs(sums[one]))[: len(most)]
    for row, one in zip(most, order, strict=True):
        words = row.inner_text().split("\n")
        assert words[0] == said["id"][one]
        assert number(words[-1]) == pytest.approx(sums[one], rel=6e-3)
    most[0].get_by_role("button").click()
    shows(page, said["id"][order[0]])
    assert number(page.get_by_test_id("joint-here").inner_text()) == pytest.approx(sums[order[0]], rel=6e-3)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("selection")).to_be_hidden()


def test_scores_that_do_not_add_up_say_so(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"), "#method=cosine-2")
    choose(page, 2)
    expect(page.get_by_test_id("joint")).to_contain_text("do not add up")


def test_a_run_whose_model_is_not_named_says_how_to_name_it(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"))
    choose(page, 2)
    expect(page.get_by_test_id("verify")).to_be_disabled()
    expect(page.get_by_test_id("verify-words")).to_contain_text("--model MODULE:FUNCTION")


def test_a_refit_verifies_it_and_can_be_cancelled(able: Callable[..., object], visit: Visit) -> None:
    with able("pictures") as server:
        page = visit(server)
        identity = query(page)
        positions = choose(page, 2)
        page.get_by_test_id("verify").click()
        expect(page.get_by_test_id("progress")).to_be_visible()
        expect(page.get_by_test_id("verify")).to_be_disabled()
        expect(page.get_by_test_id("verify-words")).not_to_have_text("Starting…")
        page.get_by_test_id("cancel").click()
        expect(page.get_by_test_id("verify-words")).to_contain_text("Cancelled")
        expect(page.get_by_test_id("progress")).to_be_hidden()
        assert not list(server.folder.glob("results/refit-*"))
        page.get_by_test_id("verify").click()
        expect(page.get_by_test_id("progress")).to_be_visible()
        expect(page.get_by_test_id("progress")).to_have_attribute("max", re.compile(r"\d"), timeout=90_000)
        row = page.get_by_test_id("verified").get_by_role("row").filter(has_text=identity)
        expect(row).to_be_visible(timeout=90_000)
        task, train, queries = page_programs.pictures()
        ids = [columns(server, "train")["id"][at] for at in positions]
        group = {"both": [int(one) for one in ids]}
        truth = leave_out(task, train, queries.select([int(identity)]), group, Proximal(made_runs.DAMPING))
        predicted, refitted = row.get_by_role("cell").all_inner_texts()
        assert number(refitted) == pytest.approx(float(truth["effect"].squeeze()), rel=6e-3)
        assert number(predicted) == number(page.get_by_test_id("joint-here").inner_text())
        assert len(list(server.folder.glob("results/refit-*"))) == 1


def test_a_study_is_refitted_by_its_own_code(able: Callable[..., object], visit: Visit) -> None:
    with able("line") as server:
        page = visit(server)
        identity = query(page)
        choose(page, 2)
        page.get_by_test_id("verify").click()
        row = page.get_by_test_id("verified").get_by_role("row").filter(has_text=identity).first
        expect(row).to_be_visible(timeout=90_000)


def test_a_refit_that_fails_says_why(copied: Copied, visit: Visit) -> None:
    with explored(copied("features"), "--model", "page_programs:nothing", cwd=HERE) as server:
        page = visit(server)
        choose(page, 2)
        page.get_by_test_id("verify").click()
        failed = page.get_by_test_id("verified").get_by_role("alert")
        expect(failed).to_contain_text("page_programs has no function 'nothing'", timeout=90_000)
        expect(page.get_by_test_id("verify")).to_be_enabled()

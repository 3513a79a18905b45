"""Point 5: a person checks labels: three rankings with the plain loss always beside them, flags, notes, the table."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import page_programs
import pytest
from playwright.sync_api import Locator, Page, expect
from seen import columns, number
from tools.explored import Explored, explored

Visit = Callable[..., Page]
Served = Callable[[str], Explored]
Copied = Callable[[str], Path]
SIGNS = ("loss", "self_influence", "disagreement")
NARROW = {"width": 390, "height": 844}


def ranking(page: Page, by: str) -> Locator:
    return page.get_by_test_id(f"ranking-{by}").get_by_test_id("suspect")


def flagged(page: Page, by: str, identity: str) -> Locator:
    row = page.get_by_test_id(f"ranking-{by}").locator(f'[data-testid="suspect"][data-id="{identity}"]')
    return row.get_by_test_id("flag")


@pytest.mark.parametrize("name", ["pictures", "texts", "features"])
def test_three_rankings_stand_side_by_side(served: Served, visit: Visit, name: str) -> None:
    server = served(name)
    said = columns(server, "train")
    page = visit(server, "#view=labels")
    for by in SIGNS:
        rows = ranking(page, by)
        expect(rows).to_have_count(50)
        order = [said["id"][at] for at in np.argsort(-said[by], kind="stable")[:50]]
        shown = rows.evaluate_all("rows => rows.map(row => row.dataset.id)")
        values = dict(zip(said["id"], said[by].tolist(), strict=True))
        assert [values[one] for one in shown] == [values[one] for one in order]  # ties may stand in any order
        expect(page.get_by_test_id(f"ranking-{by}")).to_be_visible()
    # a neighbourhood that agrees says nothing against a label: a line is drawn before the first of those
    divided = (
        page.get_by_test_id("ranking-disagreement")
        .locator("li")
        .evaluate_all("rows => rows.findIndex(row => row.classList.contains('divider'))")
    )
    against = int((said["disagreement"] > 0).sum())
    assert divided == (against if against < 50 else -1)
    boxes = [page.get_by_test_id(f"ranking-{by}").bounding_box() for by in SIGNS]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"] < boxes[2]["x"]


def test_the_loss_and_its_rank_stand_in_every_row(served: Served, visit: Visit) -> None:
    server = served("pictures")
    said = columns(server, "train")
    rank = {said["id"][at]: place for place, at in enumerate(np.argsort(-said["loss"], kind="stable"), start=1)}
    for size in ({"width": 1280, "height": 800}, NARROW):
        page = visit(server, "#view=labels&by=self_influence", size=size)
        rows = ranking(page, "self_influence")
        expect(rows).to_have_count(50)
        for row in rows.all()[:10]:
            baseline = row.get_by_test_id("baseline")
            expect(baseline).to_be_visible()
            identity = row.get_attribute("data-id")
            assert f"#{rank[identity]}" in baseline.inner_text()
            assert number(baseline.inner_text()) == pytest.approx(said["loss"][said["id"].index(identity)], rel=6e-3)


def test_on_a_narrow_screen_one_ranking_is_seen_and_the_others_chosen(served: Served, visit: Visit) -> None:
    page = visit(served("pictures"), "#view=labels", size=NARROW)
    expect(ranking(page, "loss").first).to_be_visible()
    page.get_by_test_id("by-disagreement").click()
    expect(ranking(page, "disagreement").first).to_be_visible()
    expect(ranking(page, "loss").first).to_be_hidden()


def test_flipped_labels_rank_high_and_more_rows_are_shown(served: Served, visit: Visit) -> None:
    server = served("pictures")
    page = visit(server, "#view=labels")
    expect(ranking(page, "loss")).to_have_count(50)
    _, train, _ = page_programs.pictures()
    flipped = {str(one) for one in train.ids[: page_programs.FLIPPED].tolist()}
    top = ranking(page, "loss").evaluate_all("rows => rows.slice(0, 20).map(row => row.dataset.id)")
    assert len(flipped & set(top)) > page_programs.FLIPPED / 2
    page.get_by_test_id("more-loss").click()
    expect(ranking(page, "loss")).to_have_count(100)
    shown = ranking(page, "loss").evaluate_all("rows => rows.map(row => row.dataset.id)")
    assert len(set(shown)) == 100


def test_flags_labels_and_notes_survive_a_restart_and_are_exported(copied: Copied, visit: Visit) -> None:
    folder = copied("pictures")
    note = '=cmd|" /C calc"!A0 </script><img src=x onerror=alert(1)>'
    with explored(folder) as server:
        page = visit(server, "#view=labels")
        row = ranking(page, "loss").first
        identity = row.get_attribute("data-id")
        other = ranking(page, "loss").nth(1).get_attribute("data-id")
        row.get_by_test_id("flag").click()
        expect(row.get_by_test_id("flag")).to_have_attribute("aria-pressed", "true")
        row.get_by_test_id("open-suspect").click()
        row.get_by_test_id("suggest-label").select_option("7" if "7" not in row.inner_text()[:9] else "8")
        suggested = row.get_by_test_id("suggest-label").input_value()
        expect(page.get_by_test_id("messages")).to_contain_text("Kept for training example")
        row.get_by_test_id("note").fill(note)
        row.get_by_test_id("note").blur()
        expect(row).to_contain_text("✎ note")
        flagged(page, "loss", other).click()
        expect(flagged(page, "loss", other)).to_have_attribute("aria-pressed", "true")
        flagged(page, "loss", other).click()
        expect(flagged(page, "loss", other)).to_have_attribute("aria-pressed", "false")
        expect(page.get_by_test_id("flag-count")).to_have_text("1 example marked")
    lines = [json.loads(line) for line in (folder / "flags.jsonl").read_text().splitlines()]
    assert [str(line["id"]) for line in lines] == [identity] * 3 + [other] * 2
    with explored(folder) as server:
        page = visit(server, "#view=labels")
        row = ranking(page, "loss").first
        expect(row.get_by_test_id("flag")).to_have_attribute("aria-pressed", "true")
        row.get_by_test_id("open-suspect").click()
        expect(row.get_by_test_id("note")).to_have_value(note)
        expect(row.get_by_test_id("suggest-label")).to_have_value(suggested)
        expect(flagged(page, "loss", other)).to_have_attribute("aria-pressed", "false")
        with page.expect_download() as download:
            page.get_by_test_id("export-csv").click()
        assert download.value.suggested_filename == "flags.csv"
        rows = list(csv.reader(Path(download.value.path()).read_text().splitlines()))
        assert len(rows) == 2
        told = dict(zip(*rows, strict=True))
        assert told["id"] == identity
        assert told["suggested"] == suggested
        assert note in told["note"]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in rows[1])
        page.get_by_test_id("tab-why").click()
        marked = page.locator(f'[data-testid="card"][data-id="{identity}"]')
        if marked.count():
            expect(marked.first).to_contain_text("flagged")


def test_a_flag_that_cannot_be_kept_is_said(copied: Copied, visit: Visit) -> None:
    folder = copied("features")
    with explored(folder) as server:
        page = visit(server, "#view=labels")
        # A folder in the place of the file: unlike missing permissions this stops the superuser too.
        (folder / "flags.jsonl").mkdir()
        page.watch.pardon("/api/flags")
        ranking(page, "loss").first.get_by_test_id("flag").click()
        expect(page.get_by_test_id("messages")).to_contain_text("flags.jsonl cannot be written")
        expect(ranking(page, "loss").first.get_by_test_id("flag")).to_have_attribute("aria-pressed", "false")

"""A run folder with missing, broken or odd parts: the page says what is wrong in words, and shows the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import page_programs
import pytest
from playwright.sync_api import Page, expect
from seen import chart, query
from tools.explored import explored

import whence as wh
from whence.execution import RunFolder
from whence.exhibit import Choices, exhibit

Visit = Callable[..., Page]
Runs = Callable[[str], Path]
Copied = Callable[[str], Path]


def shard(folder: Path, key: str, field: str = "") -> Path:
    """The file that holds (a field of) a piece of the exhibit."""
    for line in (folder / "exhibit/manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["key"] == key:
            arrays = entry["arrays"]
            return folder / "exhibit" / (arrays[field] if field else next(iter(arrays.values())))["file"]
    raise AssertionError(f"no piece {key!r}")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def check_views(page: Page, but: str = "") -> None:
    """All views can be seen, and none but ``but`` shows a failure."""
    for view in ("where", "much", "labels", "why"):
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_test_id(f"view-{view}")).to_be_visible()
        if view != but:
            expect(page.get_by_test_id(f"view-{view}").get_by_test_id("failed")).to_have_count(0)


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_pictures_that_are_gone(copied: Copied, visit: Visit, how: str) -> None:
    folder = copied("pictures")
    file = shard(folder, "train pictures", "pictures")
    file.unlink() if how == "missing" else cut(file)
    with explored(folder) as server:
        page = visit(server)
        expect(page.get_by_test_id("problems")).to_contain_text("train pictures")
        expect(page.get_by_test_id("card").first).to_be_visible()
        check_views(page)


@pytest.mark.parametrize("piece", ["map pca 2", "columns", "queries", "train"])
def test_pieces_that_are_cut_off(copied: Copied, visit: Visit, piece: str) -> None:
    folder = copied("pictures")
    cut(shard(folder, piece))
    with explored(folder) as server:
        page = visit(server)
        expect(page.get_by_test_id("problems")).to_contain_text(piece)
        expect(page.get_by_test_id("card").first).to_be_visible()
        check_views(page)
        page.get_by_test_id("dismiss-problems").click()
        expect(page.get_by_test_id("problems")).to_be_hidden()


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_scores_that_are_broken(copied: Copied, visit: Visit, how: str) -> None:
    folder = copied("pictures")
    file = folder / "results/leverage-corrected/score.npy"
    file.unlink() if how == "missing" else cut(file)
    with explored(folder) as server:
        page = visit(server)
        expect(page.get_by_test_id("problems")).to_contain_text("leverage-corrected")
        expect(page.get_by_test_id("method").get_by_role("option", name="leverage-corrected")).to_have_count(0)
        expect(page.get_by_test_id("card").first).to_be_visible()
        check_views(page)


def test_scores_that_are_no_numbers(copied: Copied, visit: Visit) -> None:
    folder = copied("pictures")
    kept = RunFolder.read(folder)
    with RunFolder.open(folder, kept.config, kept.about["kind"]) as run:
        scores = run.load("scores").copy(deep=True)
        values = scores.values.copy()
        values[:, ::3] = np.nan
        values[0] = np.nan
        values[1, 1] = np.inf
        run.save("some-nan", scores.copy(data=values).assign_attrs(label="some NaN"))
    with explored(folder) as server:
        first = str(server.get("/api/why", query=0, method="scores")["query"]["id"])
        page = visit(server, f"#query={first}&method=some-nan")
        expect(page.get_by_test_id("view-why")).to_contain_text("No training example")
        check_views(page)
        page.get_by_test_id("next").click()
        expect(page.locator("html")).not_to_have_attribute("data-query", first)
        query(page)
        expect(page.get_by_test_id("card").first).to_be_visible()
        assert "NaN" not in page.get_by_test_id("view-why").inner_text()
        page.get_by_test_id("card").first.get_by_role("checkbox").check()
        expect(page.get_by_test_id("joint-here")).to_be_visible()
        check_views(page)


def test_zero_queries(runs: Runs, visit: Visit, tmp_path: Path) -> None:
    kept = RunFolder.read(runs("pictures"))
    with RunFolder.open(tmp_path / "run", {"program": "none"}, kind="attribute") as run:
        run.save("scores", kept.load("scores").isel(query=slice(0, 0)))
        shutil.copytree(runs("pictures") / "exhibit", tmp_path / "run/exhibit")
        (tmp_path / "run/exhibit/manifest.jsonl").write_text(
            "".join(
                line
                for line in (runs("pictures") / "exhibit/manifest.jsonl").read_text().splitlines(keepends=True)
                if not json.loads(line)["key"].startswith("queries")
            )
        )
    with explored(tmp_path / "run") as server:
        page = visit(server)
        expect(page.get_by_test_id("query-count")).to_contain_text("0 predictions")
        expect(page.get_by_test_id("chosen")).to_contain_text("no queries")
        check_views(page)
        page.get_by_test_id("tab-labels").click()
        expect(page.get_by_test_id("ranking-loss").get_by_test_id("suspect")).to_have_count(50)


def test_one_class(visit: Visit, tmp_path: Path) -> None:
    task, train, queries = page_programs.features()
    train, queries = train[train.targets().numpy() == 1], queries[queries.targets().numpy() == 1]
    with RunFolder.open(tmp_path / "run", {"program": "none"}, kind="attribute") as run:
        run.save("scores", wh.InfluenceFunction(wh.Dense(), 0.1, "gauss-newton").fit(task, train).attribute(queries))
        exhibit(run, task, train, queries, Choices("One class"))
    with explored(tmp_path / "run") as server:
        page = visit(server)
        expect(page.get_by_test_id("card").first).to_be_visible()
        check_views(page)
        page.get_by_test_id("tab-much").click()
        assert chart(page, "boxes").evaluate("chart => chart.data[0].x.length") == 1


def test_a_run_without_an_exhibit(copied: Copied, visit: Visit) -> None:
    folder = copied("pictures")
    shutil.rmtree(folder / "exhibit")
    with explored(folder) as server:
        page = visit(server)
        expect(page.get_by_test_id("problems")).to_contain_text("has no exhibit")
        expect(page.get_by_test_id("card").first).to_contain_text("labelled")
        check_views(page)


def test_a_run_without_results(visit: Visit, tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", {"program": "none"}, kind="attribute"):
        pass
    with explored(tmp_path / "run") as server:
        page = visit(server)
        expect(page.get_by_test_id("chosen")).to_contain_text("no queries")
        check_views(page)


def test_a_server_that_ended_is_said(copied: Copied, visit: Visit) -> None:
    with explored(copied("features")) as server:
        page = visit(server, wait="all")
        query(page)
    page.watch.pardon("/api/why", "/api/scores", "/api/rows")
    page.get_by_test_id("query-list").focus()
    page.keyboard.press("End")
    expect(page.get_by_test_id("view-why").get_by_test_id("failed")).to_contain_text("whence explore")

"""Runs that hold the exhibit of made-up models and data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import Given

from whence.execution import RunFolder
from whence.exhibit import Choices, Exhibit, exhibit


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[], RunFolder]]:
    """Opens new run folders."""
    number = itertools.count()
    opened: list[RunFolder] = []

    def new() -> RunFolder:
        opened.append(RunFolder.open(tmp_path / f"run{next(number)}", {"study": "made up"}, kind="study"))
        return opened[-1]

    yield new
    for one in opened:
        one.close()


@pytest.fixture
def shown(run: Callable[[], RunFolder]) -> Callable[..., Exhibit]:
    """The exhibit of a task and its data in a new run folder, read again; without maps unless asked for."""

    def make(given: Given, folder: RunFolder | None = None, **choices: Any) -> Exhibit:
        folder = folder or run()
        exhibit(folder, given.task, given.train, given.queries, Choices(**{"layers": (), **choices}))
        return Exhibit.read(RunFolder.read(folder.folder))

    return make

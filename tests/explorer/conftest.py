"""Small runs to look at, and clients to look at them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from page_client import Client
from small_run import Made

from whence.explorer.served import Served


@pytest.fixture
def visit() -> Iterator[Callable[..., Client]]:
    """Opens a run folder: ``visit(folder)``."""
    with ExitStack() as open_clients:

        def opened(folder: Path, **options: Any) -> Client:
            client = Client(Served.open(folder, **options))
            open_clients.enter_context(client.http)
            return client

        yield opened


@pytest.fixture
def made(tmp_path: Path) -> Made:
    run = Made(tmp_path / "run")
    run.write()
    return run


@pytest.fixture
def client(made: Made, visit: Callable[..., Client]) -> Client:
    return visit(made.folder)

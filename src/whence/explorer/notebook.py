"""The page in a notebook or from a script: scores alone, or a run folder."""

from __future__ import annotations

import asyncio
import atexit
import html
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from whence import files, results
from whence.explorer import serve
from whence.explorer.choosing import queries_of
from whence.explorer.reader import Reader
from whence.explorer.served import Served
from whence.explorer.snapshot import snapshot
from whence.explorer.temporary import METHOD, run_of

HEIGHT = 860
"""Pixels of the frame in a notebook."""


@dataclass(frozen=True)
class Shown:
    """A self-contained page, for a notebook to show or a file to hold."""

    page: str

    def _repr_html_(self) -> str:
        """The page in a frame that can reach neither the notebook nor any network."""
        source = html.escape(self.page, quote=True)
        return (
            f'<iframe srcdoc="{source}" sandbox="allow-scripts allow-downloads" title="whence" '
            f'style="width:100%;height:{HEIGHT}px;border:0"></iframe>'
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, whole or not at all."""
        files.write_text(Path(path), self.page)
        return Path(path)


def show(scores: xr.DataArray, query: Any = None, k: int = 12, train: Any = None, queries: Any = None) -> Shown:
    """The page of some queries, in one piece that needs no server.

    ``query``: their ids, one or several; by default all, but of more than 24 those with the greatest loss. ``k``: how
    many examples are listed on a side. ``train``, ``queries``: the data, as ``whence.as_examples`` takes it, to show
    what the examples look like. Raises ResultError if the scores break the schema, KeyError for an id that is not
    there, ValueError for ``k`` outside 1 to 200.
    """
    results.check(scores)
    with run_of(scores, train, queries) as folder:
        reader = Reader.open(folder)
        chosen = queries_of(reader, None if query is None else np.atleast_1d(query).tolist())
        return Shown(snapshot(reader.chosen(chosen, [METHOD], k)))


@dataclass
class Running:
    """A page that is served beside the notebook; ``stop`` ends it."""

    address: str
    _server: Any
    _thread: threading.Thread
    _end: Callable[[], object]

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join()
        self._end()

    def __repr__(self) -> str:
        return f"The page is at {self.address} (.stop() ends it)"


def explore(
    source: str | Path | xr.DataArray,
    *,
    train: Any = None,
    queries: Any = None,
    model: str | None = None,
    data: Path | None = None,
    port: int | None = None,
    browser: bool = True,
) -> Running | None:
    """Serve the page of a run folder, or of scores, on this machine.

    A script waits here until Ctrl-C. In a notebook the page is served beside it and what is returned can stop it.
    Scores are put into a temporary folder that goes when the server ends; ``train``, ``queries``: as for ``show``.
    ``model``, ``data``: as ``whence explore`` takes them. Raises RunError if the folder is no run, ResultError if the
    scores break the schema, PortError if ``port`` is taken.
    """
    if not isinstance(source, xr.DataArray):
        if train is not None or queries is not None:
            raise ValueError("a run folder holds its own data; leave train and queries out")
        return _serve(Path(source), model, data, port, browser, lambda: None)
    temporary = ExitStack()
    folder = temporary.enter_context(run_of(results.check(source), train, queries))
    # For a notebook that ends without having stopped the server.
    atexit.register(temporary.close)
    return _serve(folder, None, None, port, browser, temporary.close)


def _serve(
    folder: Path, model: str | None, data: Path | None, port: int | None, browser: bool, end: Callable[[], object]
) -> Running | None:
    try:
        if not _in_notebook():
            serve.serve(folder, port=port, browser=browser, model=model, data=data)
            end()
            return None
        served, listener = Served.open(folder, model, data), serve.listening(port)
    except BaseException:
        end()
        raise
    server, address = serve.prepared(served, listener)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    if browser:
        serve.show_in_browser(address)
    return Running(address, server, thread, end)


def _in_notebook() -> bool:
    """Whether an event loop runs in this thread already, as in a notebook: waiting here would stop it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

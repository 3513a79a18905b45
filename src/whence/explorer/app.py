"""The server's routes: what is asked is checked, looked up by a view, and answered in JSON."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from whence.explorer import page, why
from whence.explorer.answers import VIEWS, answer
from whence.explorer.asked import Asked, body_name, body_positions
from whence.explorer.refused import Refused
from whence.explorer.responses import answered, download, failed, file, not_found, refused
from whence.explorer.security import Guard
from whence.explorer.served import Served
from whence.explorer.sides import DIMS
from whence.explorer.snapshot import snapshot

MOST = 1000
"""Queries that may be named in one address."""
THREADS = 4
"""Answers that are made at one time: one person looks, and each may hold some megabytes."""


def app(served: Served, port: int) -> Guard:
    """The application for one run on one port."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        threading.Thread(target=served.prepare, daemon=True).start()
        yield
        served.verification.close()

    routes = [Route(path, _view(served, path)) for path in VIEWS]
    routes += [
        Route("/", _page(served)),
        Route("/static/{name}", _static),
        Route("/plotly.js", _plotly),
        Route("/sprite", _sprite(served)),
        Route("/api/flags", _flags(served), methods=["GET", "POST"]),
        Route("/api/flags.csv", _flags_csv(served)),
        Route("/api/joint", _joint(served), methods=["POST"]),
        Route("/api/verify", _verify(served), methods=["GET", "POST"]),
        Route("/api/cancel", _cancel(served), methods=["POST"]),
        Route("/api/report", _report(served)),
    ]
    handlers = {Refused: refused, HTTPException: not_found, Exception: failed}
    # Around the whole application: as one of its middlewares it would not see the answer to a defect.
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan), port, served.token)


def _view(served: Served, path: str) -> Callable[[Request], Response]:
    def view(request: Request) -> Response:
        served.reader.refresh()
        return answered(answer(served.reader, path, request.query_params.multi_items()))

    return view


def _page(served: Served) -> Callable[[Request], Response]:
    def shown(request: Request) -> Response:
        content, policy = page.served(served.token, served.title)
        headers = {"content-security-policy": policy}
        return Response(content, media_type="text/html", headers=headers)

    return shown


def _static(request: Request) -> Response:
    found = page.static().get(request.path_params["name"])
    if found is None:
        raise Refused("there is no such file; load the page again", 404)
    return file(request, found.content, found.type, found.tag)


def _plotly(request: Request) -> Response:
    found = page.plotly()
    if "gzip" in request.headers.get("accept-encoding", ""):
        return file(request, zipped_plotly(), found.type, f"{found.tag}-gzip", {"content-encoding": "gzip"})
    return file(request, found.content, found.type, found.tag)


@cache
def zipped_plotly() -> bytes:
    """Plotly's JavaScript compressed, once."""
    return gzip.compress(page.plotly().content, 6, mtime=0)


def _sprite(served: Served) -> Callable[[Request], Response]:
    def sprite(request: Request) -> Response:
        asked = Asked(request.query_params.multi_items())
        side, number = asked.name("side", DIMS), asked.whole("sheet", 0, 10**6)
        asked.end()
        sheet = served.sprites.sheet(side, number)
        return file(request, sheet.png, "image/png", sheet.tag)

    return sprite


def _flags(served: Served) -> Callable[[Request], Any]:
    async def flags(request: Request) -> Response:
        if request.method == "POST":
            body = await _body(request)
            return answered(await to_thread.run_sync(served.flags.put, body))
        Asked(request.query_params.multi_items()).end()
        found = await to_thread.run_sync(served.flags.read)
        return answered({"flags": {str(position): record for position, record in found.items()}})

    return flags


def _flags_csv(served: Served) -> Callable[[Request], Response]:
    def table(request: Request) -> Response:
        Asked(request.query_params.multi_items()).end()
        return download(served.flags.table(), "text/csv", "flags.csv")

    return table


def _joint(served: Served) -> Callable[[Request], Any]:
    async def joint(request: Request) -> Response:
        body, reader = await _body(request), served.reader
        positions = body_positions(body, len(reader.train))
        method = body_name(body, "method", reader.methods)
        return answered(await to_thread.run_sync(why.joint, reader, positions, method))

    return joint


def _verify(served: Served) -> Callable[[Request], Any]:
    async def verify(request: Request) -> Response:
        if request.method == "POST":
            chosen = body_positions(await _body(request), len(served.reader.train))
            return answered({"job": await to_thread.run_sync(served.verification.start, chosen)})
        asked = Asked(request.query_params.multi_items())
        job = asked.words("job")
        asked.end()
        return answered(served.verification.record(job))

    return verify


def _cancel(served: Served) -> Callable[[Request], Any]:
    async def cancel(request: Request) -> Response:
        job = (await _body(request)).get("job")
        return answered(await to_thread.run_sync(served.verification.cancel, str(job)))

    return cancel


def _report(served: Served) -> Callable[[Request], Response]:
    def report(request: Request) -> Response:
        served.reader.refresh()
        asked, reader = Asked(request.query_params.multi_items()), served.reader
        queries = asked.positions("queries", len(reader.queries), MOST)
        methods = asked.names("methods", reader.methods)
        asked.end()
        return download(snapshot(reader.chosen(queries, methods)), "text/html", "whence.html")

    return report


async def _body(request: Request) -> dict[str, Any]:
    Asked(request.query_params.multi_items()).end()
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("the body of the request must be a JSON object")
    return found

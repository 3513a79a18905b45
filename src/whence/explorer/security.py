"""What every request has to pass and every answer carries: the page is for this machine and this process alone."""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
LARGEST_BODY = 1_000_000
"""Bytes of a request's body: the positions of some hundred thousand examples."""
TOKEN = "x-whence-token"
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For every answer but the page, which names what it needs."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")
_ELSEWHERE = ("cross-site", "same-site")
"""Where a browser says that a request comes from; a link to the page itself may stand anywhere."""


class Guard:
    """Lets through requests for this host and port; those that change something must carry the page's token."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self.app = app
        self._hosts = {name for host in HOSTS for name in (host, f"{host}:{port}")}
        self._origins = {f"http://{name}" for name in self._hosts}
        self._token = token
        self._where = f"http://127.0.0.1:{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        answered = _with_headers(send)
        wrong = self._wrong(scope)
        if wrong is not None:
            await _refuse(answered, *wrong)
            return
        body = await _body(receive) if scope["method"] == "POST" else b""
        if body is None:
            await _refuse(answered, 413, f"the request is longer than {LARGEST_BODY:,} bytes; select fewer examples")
            return
        await self.app(scope, _once(body, receive), answered)

    def _wrong(self, scope: Scope) -> tuple[int, str] | None:
        """Status and words for a request that does not pass."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, f"this page is at {self._where} only; open it there (a tunnel must keep the port)"
        if scope["path"] != "/" and any(site in _ELSEWHERE for site in _values(scope, b"sec-fetch-site")):
            return 403, f"another site may not ask for anything here; use the page at {self._where}"
        if scope["method"] in _SAFE:
            return None
        if scope["method"] != "POST":
            return 405, "only GET and POST are answered here"
        if any(origin.lower() not in self._origins for origin in origins):
            return 403, "another site may not change anything here; use the page itself"
        tokens = _values(scope, TOKEN.encode())
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode(), self._token.encode()):
            return 403, "the page's token is missing or out of date; load the page again"
        if [kind.partition(";")[0].strip().lower() for kind in _values(scope, b"content-type")] != ["application/json"]:
            return 415, "send JSON, with Content-Type: application/json"
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


async def _body(receive: Receive) -> bytes | None:
    """The body; None if it is too long, whatever its Content-Length says."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _once(body: bytes, receive: Receive) -> Receive:
    """The body again, for whom the request is meant."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    """Adds the headers that an answer does not set itself."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(key.lower(), value) for key, value in message.get("headers", [])]
            present = {key for key, _ in own}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in present]
            message = {**message, "headers": own + added}
        await send(message)

    return sent


async def _refuse(send: Send, status: int, words: str) -> None:
    content = json.dumps({"error": words}).encode()
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

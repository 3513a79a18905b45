"""Answers as HTTP has them: JSON, files that a browser may keep, downloads, and errors in words."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from whence.explorer.packed import text
from whence.explorer.refused import Refused


def answered(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(text(value), status, media_type="application/json")


def file(request: Request, content: bytes, kind: str, tag: str, more: dict[str, str] | None = None) -> Response:
    """A file that a browser may keep, if it asks each time whether it is still the same: another run has another."""
    headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache", "vary": "accept-encoding"}
    if f'"{tag}"' in [known.strip() for known in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers={**headers, **(more or {})})


def download(content: str, kind: str, name: str) -> Response:
    """A text that a browser saves under ``name``."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    # A lone surrogate, which JSON can name and UTF-8 cannot, becomes a question mark.
    return Response(content.encode("utf-8", "replace"), media_type=f"{kind}; charset=utf-8", headers=headers)


def refused(_: Request, error: Exception) -> Response:
    """The answer to what was refused."""
    status, words = (error.status, error.words) if isinstance(error, Refused) else (400, str(error))
    return answered({"error": words}, status)


def not_found(_: Request, error: Exception) -> Response:
    """The answer to an address that is nothing here."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    words = {404: "there is nothing here; the page is at /", 405: "only GET and POST are answered here"}
    return answered({"error": words.get(status, "this cannot be answered; load the page again")}, status)


def failed(_: Request, error: Exception) -> Response:
    """The answer where the server itself is at fault; the traceback goes to its terminal."""
    return answered({"error": "the server failed on this; its terminal says more"}, 500)

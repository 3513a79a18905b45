"""The page itself: its template, its modules, and the policy that a browser has to keep while it shows it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
COMMON = "base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class File:
    """A file that the server hands out as it is; ``tag``: a digest of it."""

    content: bytes
    type: str
    tag: str


@cache
def static() -> dict[str, File]:
    """The page's own files by name. Nothing else can be asked for by name."""
    found = {}
    for place in resources.files("whence.explorer").joinpath("static").iterdir():
        suffix = Path(place.name).suffix
        if suffix in TYPES and place.is_file():
            found[place.name] = _file(place.read_bytes(), TYPES[suffix])
    return found


def modules() -> dict[str, File]:
    """The page's JavaScript by the names under which modules import each other, ``whence/NAME``."""
    return {f"whence/{Path(name).stem}": file for name, file in sorted(static().items()) if name.endswith(".js")}


@cache
def plotly() -> File:
    """Plotly's JavaScript out of its wheel."""
    # Found without importing the package, which the page has no other use for.
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ImportError("plotly is not installed, and the page draws with its JavaScript; install whence anew")
    return _file(Path(spec.origin).with_name("package_data").joinpath("plotly.min.js").read_bytes(), TYPES[".js"])


def template() -> str:
    """index.html, with ``{{token}}``, ``{{title}}`` and ``{{imports}}``."""
    return resources.files("whence.explorer").joinpath("static", "index.html").read_text(encoding="utf-8")


def served(token: str, title: str) -> tuple[str, str]:
    """The page as the server gives it, and its content security policy."""
    imports = import_map({name: f"/static/{name.removeprefix('whence/')}.js" for name in modules()})
    policy = (
        f"default-src 'none'; script-src 'self' {source(imports)}; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self'; {COMMON}; frame-ancestors 'none'"
    )
    return filled(token, title, imports), policy


def filled(token: str, title: str, imports: str) -> str:
    """The template with its placeholders filled in; the title may come from anywhere."""
    # In one pass, so that a title that reads like a placeholder stays a title.
    parts = {"{{token}}": html.escape(token), "{{title}}": html.escape(title), "{{imports}}": imports}
    page = template()
    found, at = [], 0
    while at < len(page):
        following = [(place, name) for name in parts if (place := page.find(name, at)) >= 0]
        if not following:
            break
        place, name = min(following)
        found += [page[at:place], parts[name]]
        at = place + len(name)
    return "".join([*found, page[at:]])


def import_map(addresses: dict[str, str]) -> str:
    """The text of the import map."""
    return script_json({"imports": addresses})


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def source(text: str | bytes) -> str:
    """How a policy names an inline script or style of exactly this text."""
    content = text.encode() if isinstance(text, str) else text
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def _file(content: bytes, kind: str) -> File:
    return File(content, kind, hashlib.sha256(content).hexdigest()[:32])

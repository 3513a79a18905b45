"""The one table of questions: the server answers them one by one, a report holds the answers to many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from whence.explorer import rows, suspicious, views, why
from whence.explorer.asked import Asked
from whence.explorer.reader import Reader

View: TypeAlias = Callable[[Reader, Asked], dict[str, Any]]

VIEWS: dict[str, View] = {
    "/api/about": views.about,
    "/api/queries": views.queries,
    "/api/train": views.train,
    "/api/why": why.why,
    "/api/scores": why.scores,
    "/api/actual": why.actual,
    "/api/map": views.map_of,
    "/api/suspicious": suspicious.suspicious,
    "/api/rows": rows.rows,
}
"""By path."""


def answer(reader: Reader, path: str, parameters: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """The answer to a question, as JSON can hold it. Raises Refused if it cannot be answered."""
    return VIEWS[path](reader, Asked(parameters))


def key(path: str, **parameters: Any) -> str:
    """How a report names a question: the parameters in alphabetical order, their values as they are."""
    pairs = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return f"{path}?{pairs}" if pairs else path

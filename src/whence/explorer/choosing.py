"""Which queries and methods a self-contained page holds, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from whence.explorer.reader import Reader

MOST = 24
"""Queries and methods that are taken where nobody names any: more would make a slow page."""


def queries_of(reader: Reader, ids: Iterable[Any] | None) -> list[int]:
    """Positions of the queries with these ids, by default of all, or of the 24 with the greatest loss.

    Raises KeyError for an id that is not there.
    """
    side = reader.queries
    if ids is None:
        if len(side) <= MOST:
            return [*range(len(side))]
        order = side.order("loss") if "loss" in side.columns else range(len(side))
        return sorted(int(at) for at in order[:MOST])
    position = {identity: at for at, identity in enumerate(side.ids.tolist())}
    return list(dict.fromkeys(_found(position, "query", identity) for identity in ids))


def queries_in(reader: Reader, words: str) -> list[int]:
    """As :func:`queries_of`, from ids with commas between them. Raises KeyError, ValueError if none is named."""
    named = {str(identity): identity for identity in reader.queries.ids.tolist()}
    if words in named:
        return queries_of(reader, [named[words]])
    return queries_of(reader, [_found(named, "query", word) for word in _words("query", words)])


def methods_in(reader: Reader, words: str | None) -> list[str]:
    """Names of scores with commas between them; by default those that state a change of the measurement, or all.

    Raises KeyError for a name that is not there, ValueError if none is named.
    """
    methods = reader.methods
    if words is not None:
        known = {name: name for name in methods}
        return list(dict.fromkeys(_found(known, "method", word) for word in _words("method", words)))
    return ([name for name, kept in methods.items() if kept.facts.additive] or [*methods])[:MOST]


def _words(what: str, words: str) -> list[str]:
    found = [word.strip() for word in words.split(",") if word.strip()]
    if not found:
        raise ValueError(f"no {what} is named; write names with commas between them")
    return found


def _found(known: dict[Any, Any], what: str, name: Any) -> Any:
    if name not in known:
        some = f"{[*known][:5]}{'...' if len(known) > 5 else ''}"
        raise KeyError(f"this run has no {what} {name!r}; it has {some}")
    return known[name]

"""Text that stays text, and anchors that are unique. All that a run folder holds goes through here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

from whence.tables import printable

LONGEST = 60
"""Letters of an anchor."""


def text(value: Any) -> str:
    """The value as HTML text, also inside quotes: escaped, on one line, with control characters spelt out."""
    return html.escape(printable(" ".join(str(value).split())), quote=True)


def items(values: Iterable[Any]) -> str:
    """List items of texts."""
    return "".join(f"<li>{text(value)}</li>" for value in values)


class Anchors:
    """Gives out ids, each once, from words that nobody vouches for."""

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)

    def new(self, words: str) -> str:
        """An id of small letters, digits and hyphens that resembles ``words``."""
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:LONGEST].strip("-") or "part"
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}-{number}", number + 1
        self._taken.add(found)
        return found

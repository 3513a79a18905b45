"""The parameters of a request, each checked before anything is looked up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from whence.explorer.refused import Refused

SHOWN = 40
"""Letters of a wrong value that are shown again."""


class Asked:
    """The parameters of one request; whatever is not taken out by :meth:`end` is refused."""

    def __init__(self, given: Iterable[tuple[str, str]]) -> None:
        self._left: dict[str, str] = {}
        for name, value in given:
            if name in self._left:
                raise Refused(f"{_shown(name)} is given twice; give it once")
            self._left[name] = value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from ``low`` to ``high``."""
        value = self._take(name, None if default is None else str(default))
        return _whole(name, value, low, high)

    def position(self, name: str, count: int) -> int:
        """A position among ``count`` examples."""
        if count == 0:
            raise Refused(f"this run holds no examples to be {name}; compute scores for some first", 404)
        return self.whole(name, 0, count - 1)

    def positions(self, name: str, count: int, most: int) -> list[int]:
        """Positions with commas between them: at least one, at most ``most``, each once."""
        listed = self._take(name).split(",")
        if count == 0:
            raise Refused(f"this run holds no examples that {name} could name", 404)
        if len(listed) > most:
            raise Refused(f"{name} lists {len(listed)} positions; ask for at most {most} at a time")
        found = [_whole(name, value, 0, count - 1) for value in listed]
        return _distinct(name, found)

    def name(self, name: str, known: Collection[str], default: str | None = None) -> str:
        """One of the names that are known."""
        return _known(name, self._take(name, default), known)

    def names(self, name: str, known: Collection[str]) -> list[str]:
        """Known names with commas between them, each once."""
        return list(dict.fromkeys(_known(name, value, known) for value in self._take(name).split(",")))

    def words(self, name: str) -> str:
        """Any text."""
        return self._take(name)

    def end(self) -> None:
        """Refuses parameters that nobody knows."""
        if self._left:
            raise Refused(f"there is no parameter {_shown(next(iter(self._left)))} here; leave it out")

    def _take(self, name: str, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if value is None:
            raise Refused(f"the parameter {name} is missing; give it as in ?{name}=...")
        return value


def body_positions(body: Mapping[str, Any], count: int) -> list[int]:
    """``positions`` of a request's body: a list of distinct whole numbers below ``count``, at least one."""
    listed = body.get("positions")
    if count == 0:
        raise Refused("this run holds no training examples", 404)
    if not isinstance(listed, list) or not listed:
        raise Refused("positions must be a list of at least one training example's position")
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
            raise Refused(f"positions must be whole numbers from 0 to {count - 1}, not {_shown(value)}")
    return _distinct("positions", listed)


def body_name(body: Mapping[str, Any], name: str, known: Collection[str]) -> str:
    """A name in a request's body that must be among those known."""
    return _known(name, body.get(name), known)


def _whole(name: str, value: str, low: int, high: int) -> int:
    # Not int() alone, which also takes "１" and "1_0".
    if not re.fullmatch(r"[0-9]{1,10}", value) or not low <= int(value) <= high:
        raise Refused(f"{name} must be a whole number from {low} to {high}, not {_shown(value)}")
    return int(value)


def _distinct(name: str, found: list[int]) -> list[int]:
    if len(set(found)) != len(found):
        raise Refused(f"{name} names an example twice; name each once")
    return found


def _known(name: str, value: Any, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        few = ", ".join(sorted(known)[:8]) + (", ..." if len(known) > 8 else "")
        raise Refused(f"there is no {name} {_shown(value)} in this run; choose one of: {few or '(there is none)'}", 404)
    return value


def _shown(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."

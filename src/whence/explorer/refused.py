"""What is said when something cannot be answered or cannot be read."""

from __future__ import annotations

BROKEN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError, MemoryError, RecursionError)
"""What a file that someone cut, altered or made up may raise when it is read."""


class Refused(ValueError):
    """A request that is not answered; the words name the remedy. ``status``: that of HTTP, 400 to 499."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.words = words
        self.status = status

"""What a user may do wrong, and how it is said: one plain line that ends with the remedy."""

from __future__ import annotations

import errno
import sys

from whence.tables import printable

TRACE = "--debug shows where"


class CommandError(ValueError):
    """The command cannot be carried out as it was given."""


def expected() -> tuple[type[BaseException], ...]:
    """Errors that are the user's to mend. Whatever else is raised is a defect, and its traceback is shown."""
    mappers = sys.modules.get("whence.execution.mappers")
    more = (mappers.WorkerError,) if mappers else ()
    return (ValueError, KeyError, TypeError, OSError, ImportError, *more)


def in_words(error: BaseException) -> str:
    """The error as one line."""
    if isinstance(error, OSError):
        return one_line(_of_system(error))
    if isinstance(error, KeyError):
        text = str(error.args[0]) if error.args else ""
        return one_line(text) if " " in text else f"KeyError: {one_line(text)!r} ({TRACE})"
    if isinstance(error, TypeError):
        return f"{one_line(str(error))} ({TRACE})"
    return one_line(str(error)) or f"{type(error).__name__} ({TRACE})"


def one_line(text: str) -> str:
    """The text without line ends and without characters that steer a terminal."""
    return printable(" ".join(text.split()))


def _of_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}the disk is full; free some space and give the same command again, what is finished is kept"
    if error.errno is None:
        return str(error)
    return f"{place}{error.strerror}; check the path and its permissions"

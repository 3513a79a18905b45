"""Where a report comes from: the record of its run as rows, and the size of its folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIRST = ("kind", "config", "data", "versions", "commit", "started", "machine", "host")
LEFT_OUT = ("format", "schema")


def rows(about: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """The record of a run (``run.json``), the most asked-for first, and how large its folder is."""
    order = [name for name in FIRST if name in about]
    order += [name for name in about if name not in FIRST and name not in LEFT_OUT]
    found = [pair for name in order for pair in leaves(about[name], name)]
    return [*found, ("run folder", size(folder))]


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of all that a nested value holds."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(_shown, value)) or "none"
    else:
        yield name, _shown(value)


def size(folder: Path) -> str:
    """Bytes and number of a run's files in words; HTML files in it are not counted, a report is one of them."""
    lengths = []
    for place, _, names in os.walk(folder):
        for name in names:
            # A file may vanish meanwhile, where another process goes on with the run.
            with contextlib.suppress(FileNotFoundError):
                lengths += [] if name.endswith(".html") else [(Path(place) / name).lstat().st_size]
    return f"{in_bytes(sum(lengths))} in {len(lengths):,} file{'' if len(lengths) == 1 else 's'}"


def in_bytes(count: int) -> str:
    """A number of bytes with its decimal unit."""
    if count < 1000:
        return f"{count} bytes"
    # Three digits are shown, so 999.6 kB is 1 MB.
    for power, unit in ((3, "kB"), (6, "MB"), (9, "GB")):
        if count < 999.5 * 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return f"{count / 10**12:,.1f} TB"


def moment(stamp: Any) -> str:
    """A time stamp in words, in UTC; as it stands if it is none."""
    try:
        when = datetime.fromisoformat(str(stamp)).astimezone(UTC)
    except (ValueError, OverflowError):
        return str(stamp)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

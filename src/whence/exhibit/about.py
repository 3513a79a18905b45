"""``about.json`` of an exhibit: its fields, what they are where nothing is known, and what may stand in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

FORMAT = "whence-exhibit"
SCHEMA = 1
KINDS = ("image", "text", "features", "none")
TASKS = ("classification", "regression", "other")


def complete(record: Any) -> tuple[dict[str, Any], list[str]]:
    """All fields, from ``record`` where it is sound and by default elsewhere, and a sentence on each that is not."""
    if not isinstance(record, Mapping) or record.get("format") != FORMAT:
        return _defaults(), ["exhibit/about.json is not that of an exhibit; give the run's command again."]
    if record.get("schema") != SCHEMA:
        words = f"The exhibit has schema {str(record.get('schema'))[:20]}, this version reads {SCHEMA}"
        return _defaults(), [f"{words}: use the version of whence that wrote it."]
    found, problems = _defaults(), []
    for name, sound in _SOUND.items():
        if name in record and sound(record[name]):
            found[name] = record[name]
        else:
            problems.append(f"{name!r} in exhibit/about.json is missing or damaged; give the run's command again.")
    return found, problems


def _defaults() -> dict[str, Any]:
    empty: dict[str, Any] = {"title": "", "kind": "none", "task": "other", "classes": None, "unit": ""}
    lists: dict[str, Any] = {"maps": [], "columns": [], "agreement": [], "notes": []}
    return {"format": FORMAT, "schema": SCHEMA, **empty, "picture": None, **lists, "refit": None}


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _dicts_with(**fields: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def sound(value: Any) -> bool:
        return isinstance(value, list) and all(_holds(part, fields) for part in value)

    return sound


def _none_or(sound: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or sound(value)


def _holds(value: Any, fields: Mapping[str, Callable[[Any], bool]]) -> bool:
    return isinstance(value, dict) and all(name in value and sound(value[name]) for name, sound in fields.items())


def _size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _identity(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


_ROW: dict[str, Callable[[Any], bool]] = dict.fromkeys(("scores", "truth", "sample", "proof"), _text)
_ROW |= {name: _none_or(_number) for name in ("pearson", "pearson_low", "pearson_high", "spearman")}

_SOUND: dict[str, Callable[[Any], bool]] = {
    "title": _text,
    "kind": lambda value: value in KINDS,
    "task": lambda value: value in TASKS,
    "classes": _none_or(_texts),
    "unit": _text,
    "picture": _none_or(lambda value: _holds(value, {"height": _size, "width": _size, "channels": _size})),
    "maps": _dicts_with(name=_text, kind=_text, layer=_text, note=_text),
    "columns": _dicts_with(name=_text, title=_text, unit=_text, note=_text),
    "agreement": _dicts_with(query=_identity, n=_size, **_ROW),
    "refit": _none_or(
        lambda value: _holds(value, {"kind": lambda kind: kind in ("study", "program"), "damping": _none_or(_number)})
    ),
    "notes": _texts,
}
"""What a field must be; a stranger's file may hold anything."""

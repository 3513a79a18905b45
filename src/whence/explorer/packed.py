"""Values as they go over the wire: bulk numbers in base64, everything else as JSON that no page can trip over."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

EXACT = 2**53
"""JavaScript holds no larger whole number exactly."""
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def f32(values: npt.ArrayLike) -> dict[str, str]:
    """Numbers as little-endian float32; NaN stands for a missing one."""
    # Beyond the range of float32 a value becomes infinite, which is no warning's business.
    with np.errstate(over="ignore"):
        return {"f32": _base64(np.ascontiguousarray(values, dtype="<f4"))}


def i32(values: npt.ArrayLike) -> dict[str, str]:
    """Whole numbers as little-endian int32; -1 stands for a missing one."""
    return {"i32": _base64(np.ascontiguousarray(values, dtype="<i4"))}


def column(values: npt.NDArray[Any]) -> dict[str, str]:
    """A column of numbers, packed by its kind."""
    if values.dtype.kind in "biu" and _within(values, np.iinfo(np.int32).max):
        return i32(values)
    return f32(values)


def ids(values: npt.NDArray[Any]) -> dict[str, str] | list[Any]:
    """Ids: packed where they fit, else a list; whole numbers that a browser would round become strings."""
    if values.dtype.kind in "iu":
        if _within(values, np.iinfo(np.int32).max):
            return i32(values)
        if not _within(values, EXACT):
            return [str(value) for value in values.tolist()]
    listed: list[Any] = values.tolist()
    return listed


def one_id(value: Any) -> Any:
    """One id, as :func:`ids` lists it."""
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain) if isinstance(plain, int) and abs(plain) > EXACT else plain


def number(value: Any) -> float | int | None:
    """A number as JSON can hold it: None if it is missing, no number, or not finite."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool | np.bool_):
        return int(plain)
    if isinstance(plain, int):
        return plain
    return plain if isinstance(plain, float) and math.isfinite(plain) else None


def plain(value: Any) -> Any:
    """A nested value of a file as JSON can hold it: keys are strings, and what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool):
        return value
    return number(value)


def text(value: Any) -> str:
    """The answer as JSON that may also stand inside a page: no ``<``, ``>`` or ``&`` in it, nothing but ASCII."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _base64(values: npt.NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _within(values: npt.NDArray[Any], most: int) -> bool:
    return values.size == 0 or (int(values.min()) >= -most and int(values.max()) <= most)

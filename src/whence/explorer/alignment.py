"""Results laid on the examples of the page by id, without a copy of any matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def places(ids: npt.NDArray[Any], among: npt.NDArray[Any]) -> Places | None:
    """The position in ``among`` of each of ``ids``, -1 for one that is absent; None if both are the same lists.

    Both hold each id once. A string is never equal to a number.
    """
    same_kind = (ids.dtype.kind == "U") == (among.dtype.kind == "U")
    if same_kind and ids.shape == among.shape and np.array_equal(ids, among):
        return None
    if not same_kind or len(among) == 0:
        return np.full(len(ids), -1, dtype=np.int64)
    order = np.argsort(among, kind="stable")
    at = np.searchsorted(among, ids, sorter=order)
    found: Places = order[np.minimum(at, len(among) - 1)].astype(np.int64)
    return np.where(among[found] == ids, found, -1)


def positions(ids: npt.NDArray[Any], among: npt.NDArray[Any]) -> Places:
    """As :func:`places`, but written out where both are the same."""
    found = places(ids, among)
    return np.arange(len(ids), dtype=np.int64) if found is None else found

"""Training examples whose label may be wrong, by several signs side by side; the plain loss is always among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.explorer.alignment import Places
from whence.explorer.asked import Asked
from whence.explorer.reader import Reader
from whence.explorer.views import BASE, MORE

SIGNS = ("loss", "self_influence", "disagreement")
MOST = 500


def suspicious(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/suspicious``: examples from the most suspicious by one sign on, with their rank by each sign."""
    known = [sign for sign in SIGNS if sign in reader.train.columns]
    by = asked.name("by", known)
    k = asked.whole("k", 1, MOST, default=50)
    offset = asked.whole("offset", 0, max(0, len(reader.train)), default=0)
    asked.end()
    orders = {sign: reader.order(sign) for sign in known}
    ranks = {sign: _ranks(order, len(reader.train)) for sign, order in orders.items()}
    rows = []
    for at in orders[by][offset : offset + k].tolist():
        mine = {sign: int(rank[at]) for sign, rank in ranks.items() if rank[at]}
        rows.append(reader.train.record(at, (*BASE, *MORE)) | {"ranks": mine})
    return {"by": by, "total": len(orders[by]), "rows": rows}


def _ranks(order: Places, count: int) -> Places:
    ranks = np.zeros(count, dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks

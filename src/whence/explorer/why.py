"""Why one prediction came out as it did: the strongest training examples, all scores, and what refits found."""

from __future__ import annotations

from typing import Any

import numpy as np

from whence.explorer import packed
from whence.explorer.asked import Asked
from whence.explorer.reader import Reader
from whence.explorer.refused import Refused
from whence.explorer.scores import Scores
from whence.explorer.sides import strongest
from whence.explorer.trust import trust
from whence.explorer.views import BASE

MOST = 200
SIDES, UNSIGNED = ["helpful", "harmful"], ["largest", "smallest"]


def why(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/why``: the ``k`` training examples on either side, and how far they can be trusted."""
    query, method = _query(reader, asked), asked.name("method", reader.methods)
    k = asked.whole("k", 1, MOST, default=12)
    asked.end()
    kept, scores = reader.methods[method], reader.scores_of(method, query)
    finite = np.where(np.isfinite(scores), scores, np.nan)
    high, low = strongest(finite, k), strongest(-finite, k)
    if kept.facts.signed:
        # A positive score is never called harmful.
        high, low = high[finite[high] > 0], low[finite[low] < 0]
    actual = _actual(reader, kept, query)
    rows = {
        side: [_row(reader, int(at), float(scores[at]), actual) for at in positions]
        for side, positions in zip(SIDES, (high, low), strict=True)
    }
    unscored = int(np.isnan(finite).sum())
    return {
        "query": reader.queries.record(query, BASE),
        "method": method,
        **rows,
        "sides": SIDES if kept.facts.signed else UNSIGNED,
        "unscored": unscored,
        "trust": trust(reader, kept, query, unscored),
    }


def scores(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/scores``: the score of every training example."""
    query, method = _query(reader, asked), asked.name("method", reader.methods)
    asked.end()
    found = reader.scores_of(method, query)
    return {"values": packed.f32(np.where(np.isfinite(found), found, np.nan))}


def actual(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/actual``: what refits without single examples did to a query, seeds averaged."""
    alone = {name: kept for name, kept in reader.truths.items() if kept.removals is not None}
    query, kept = _query(reader, asked), alone[asked.name("truth", alone)]
    asked.end()
    positions, effect, refits = kept.of(query)
    converged = None if kept.converged is None else kept.converged[refits].tolist()
    return {
        "positions": packed.i32(positions),
        "effect": packed.f32(effect),
        "sample": kept.sample_of(query, refits) if len(refits) else None,
        "converged": converged,
    }


def joint(reader: Reader, positions: list[int], method: str) -> dict[str, Any]:
    """``/api/joint``: what removing some training examples together would do to every query, first order.

    That is the sum of their scores. Raises Refused for scores that state no change of the measurement.
    """
    kept = reader.methods[method]
    if not kept.facts.additive:
        raise Refused(f"{method} states {kept.facts.quantity}, which does not add up to an effect; choose influence")
    change = reader.sums_of(method, positions)
    return {"change": packed.f32(change), "unit": kept.facts.unit, "quantity": kept.facts.quantity}


def _query(reader: Reader, asked: Asked) -> int:
    return asked.position("query", len(reader.queries))


def _row(reader: Reader, at: int, score: float, actual: dict[int, tuple[float, str]]) -> dict[str, Any]:
    effect, truth = actual.get(at, (None, None))
    record = reader.train.record(at, ("label", "prediction", "loss"))
    return record | {"score": score, "actual": effect, "truth": truth}


def _actual(reader: Reader, kept: Scores, query: int) -> dict[int, tuple[float, str]]:
    """For each training example that was refitted without: the effect, by the truth most like the method."""
    found: dict[int, tuple[float, str]] = {}
    for truth in reversed(reader.comparable(kept)):
        positions, effect, _ = truth.of(query)
        found |= {
            int(at): (float(value), truth.name) for at, value in zip(positions.tolist(), effect.tolist(), strict=True)
        }
    return found

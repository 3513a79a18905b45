"""What the run is and what its examples are: the answers that stay the same whatever prediction is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whence.explorer import packed
from whence.explorer.asked import Asked
from whence.explorer.packed import plain
from whence.explorer.reader import Reader
from whence.explorer.scores import Scores
from whence.explorer.sides import DIMS, Side
from whence.explorer.sprites import COLUMNS, TILES

BASE = ("label", "prediction", "confidence", "loss")
MORE = ("self_influence", "disagreement", "neighbours_label")


def about(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/about``: what the run holds, what can be done with it, and what is wrong with it."""
    asked.end()
    known, methods = reader.about, reader.methods
    record, config = reader.run.about, reader.run.config
    listed = [_method(reader, kept, label) for kept, label in zip(methods.values(), _labels(methods), strict=True)]
    return {
        "title": str(known.get("title") or config.get("study") or reader.run.folder.resolve().name),
        "run": {
            "kind": record["kind"],
            "study": plain(config.get("study")),
            **{name: plain(record.get(name)) for name in ("started", "versions", "commit")},
        },
        "kind": known.get("kind", "none"),
        "task": known.get("task", "other"),
        "classes": reader.classes,
        "unit": known.get("unit", ""),
        "picture": plain(known.get("picture")),
        "counts": {"train": len(reader.train), "queries": len(reader.queries)},
        "sprite": _sprite(reader),
        "methods": listed,
        "truths": [_truth(kept) for kept in reader.truths.values()],
        "maps": plain(known.get("maps", [])),
        "columns": plain(known.get("columns", [])),
        "notes": plain(known.get("notes", [])),
        "can": {"act": reader.can.act, "verify": reader.can.verify, "why_not": reader.can.why_not},
        "problems": reader.problems,
        "default": _default(reader, methods),
    }


def queries(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/queries``: the columns of the queries."""
    asked.end()
    return _columns(reader.queries, BASE)


def train(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/train``: the columns of the training examples."""
    asked.end()
    return _columns(reader.train, (*BASE, *MORE))


def map_of(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/map``: where examples lie in a map."""
    name = asked.name("name", reader.maps)
    asked.end()
    points = reader.map(name)
    note = next((entry.get("note", "") for entry in reader.about["maps"] if entry["name"] == name), "")
    return {
        side: {"x": packed.f32(points[side][:, 0]), "y": packed.f32(points[side][:, 1])}
        for side in ("train", "queries")
    } | {"note": str(note)}


def _columns(side: Side, wanted: tuple[str, ...]) -> dict[str, Any]:
    found = {name: packed.column(side.columns[name]) for name in wanted if name in side.columns}
    return {"id": packed.ids(side.ids), **found}


def _method(reader: Reader, kept: Scores, label: str) -> dict[str, Any]:
    facts = kept.facts
    return {
        "name": kept.name,
        "label": label,
        "method": facts.method,
        "quantity": facts.quantity,
        "unit": facts.unit,
        "sign": facts.sign,
        "signed": facts.signed,
        "damping": facts.damping,
        "solver": facts.solver,
        "notes": facts.notes,
        "additive": facts.additive,
        "truths": [truth.name for truth in reader.comparable(kept)],
    }


def _sprite(reader: Reader) -> dict[str, Any] | None:
    """How sheets of thumbnails are laid out, and which sides have pictures; None where neither has."""
    tile = reader.tile
    if tile is None:
        return None
    sides = [side for side in DIMS if reader.exhibit.pictures(side) is not None]
    return {"columns": COLUMNS, "tiles": TILES, "tile": {"height": tile[0], "width": tile[1]}, "sides": sides}


def _truth(kept: Any) -> dict[str, Any]:
    facts = kept.facts
    return {
        "name": kept.name,
        "kind": facts.kind,
        "damping": facts.damping,
        "removed": len(kept.effect),
        "quantity": facts.quantity,
        "unit": facts.unit,
        "alone": kept.removals is not None,
    }


def _labels(methods: Mapping[str, Scores]) -> list[str]:
    """The methods' own labels; where two share one, their names in the run tell them apart."""
    labels = [kept.facts.label or name for name, kept in methods.items()]
    return [
        f"{label} ({name})" if labels.count(label) > 1 else label for label, name in zip(labels, methods, strict=True)
    ]


def _default(reader: Reader, methods: Mapping[str, Scores]) -> dict[str, Any]:
    """What is shown first: influence, and the query with the greatest loss among those the model gets wrong."""
    method = max(methods.values(), key=_worth_showing, default=None)
    maps = reader.maps
    return {
        "query": _hardest(reader, method),
        "method": method.name if method else None,
        "map": maps[0] if maps else None,
        "k": reader.k,
    }


def _worth_showing(kept: Scores) -> tuple[bool, int, bool, bool]:
    """Among the methods for the most queries, plain influence, under its own name where there are several."""
    facts = kept.facts
    return facts.additive, int((kept.rows >= 0).sum()), facts.method == "influence", facts.label == facts.method


def _hardest(reader: Reader, method: Scores | None) -> int | None:
    columns, count = reader.queries.columns, len(reader.queries)
    if count == 0:
        return None
    order = np.zeros(count)
    if "loss" in columns:
        order = np.nan_to_num(np.asarray(columns["loss"], dtype=np.float64), nan=-np.inf)
    rank = np.zeros((3, count))
    rank[0] = order
    if {"label", "prediction"} <= columns.keys() and columns["prediction"].dtype.kind in "iu":
        rank[1] = columns["label"] != columns["prediction"]
    if method is not None:
        rank[2] = method.rows >= 0
    return int(np.lexsort(rank)[-1])

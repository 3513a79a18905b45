"""Examples as a person reads them: their text, their features, or where their picture stands."""

from __future__ import annotations

from typing import Any

from whence.explorer import packed
from whence.explorer.asked import Asked
from whence.explorer.reader import Reader
from whence.explorer.sides import DIMS
from whence.explorer.sprites import TILES

MOST = 200


def rows(reader: Reader, asked: Asked) -> dict[str, Any]:
    """``/api/rows``: up to 200 examples."""
    name = asked.name("side", DIMS)
    side = reader.side(name)
    positions = asked.positions("positions", len(side), MOST)
    asked.end()
    pictures = side.exhibit.pictures(side.name) is not None
    found = []
    for at in positions:
        place = side.place(at)
        features = side.exhibit.features(side.name, place)
        row = {"position": at, "id": packed.one_id(side.ids[at]), "text": side.exhibit.text(side.name, place)}
        row["features"] = None if features is None else {key: packed.number(value) for key, value in features.items()}
        row["picture"] = {"sheet": at // TILES, "tile": at % TILES} if pictures else None
        found.append(row)
    return {"rows": found}

"""Embeddings as files that TensorBoard's embedding projector reads: a table a layer, labels and one sheet of pictures.

Show them with ``tensorboard --logdir FOLDER`` and open "Projector". The files are those of TensorBoard's
``projector_config.proto``; ``whence`` needs no TensorBoard to write them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from whence import files
from whence.embedding import sprite
from whence.tables import FORMULA, numeric, printable

CONFIG = "projector_config.pbtxt"
METADATA = "metadata.tsv"
SPRITE = "sprite.png"
# Names that stand for something else: our own file's, and devices on Windows.
TAKEN = re.compile(r"(metadata|con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Exported:
    """What was written to ``folder``.

    ``tensors``: the name that TensorBoard shows, by layer (the file is called the same, with ``.tsv``);
    ``side``: of a picture in the sprite in pixels, 0 without pictures; ``shrunk``: whether pictures were made smaller.
    """

    folder: Path
    tensors: dict[str, str]
    side: int = 0
    shrunk: bool = False


def export_projector(
    folder: str | Path, embeddings: Mapping[str, Any], metadata: pd.DataFrame, pictures: Any = None
) -> Exported:
    """Write embeddings [n, d] by layer, ``metadata`` [n rows] and ``pictures`` [n, h, w] or [n, h, w, 3].

    Embeddings are written as text with nine significant digits, which is float32 to the last bit: TensorBoard tries
    text first, and would take some binary tables for it. It shows the first 100,000 rows and reads every table at
    start: choose layers of some hundred columns. Layers are named by their letters, digits and ``_ - .``, since it puts
    the name into an address; layers that then have one name are numbered.

    In metadata a tab, a line break and other control characters are spelt out, a cell that a spreadsheet would take
    for a formula gets an apostrophe, an empty cell becomes "-" (TensorBoard would skip the row). TensorBoard labels the
    points by the first column that is no number.

    Pictures are bytes, or numbers of which the smallest becomes black and the largest white. They are padded to squares
    and laid out row by row in a square sheet of at most 8,192 pixels; where they do not fit they are made smaller, and
    a warning says so.

    Raises ValueError for no layers or rows, numbers of rows that differ, fewer than two columns in a layer, values that
    are not finite, metadata without columns or with one name twice, or more pictures than fit a sheet.
    """
    folder, named = Path(folder), _names(embeddings)
    tables = {layer: _table(layer, rows, len(metadata)) for layer, rows in embeddings.items()}
    words = _metadata(metadata)
    sheet, side, shrunk = (None, 0, False) if pictures is None else sprite.sheet_of(pictures, len(metadata))
    for layer, rows in tables.items():
        files.write(folder / f"{named[layer]}.tsv", partial(_write_table, rows=rows))
    files.write_text(folder / METADATA, words)
    if sheet is not None:
        sprite.write_sheet(folder / SPRITE, sheet)
    # Last, so that what it names is there.
    shapes = {named[layer]: rows.shape for layer, rows in tables.items()}
    files.write_text(folder / CONFIG, _config(shapes, side))
    return Exported(folder, named, side, shrunk)


def _names(layers: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in layers:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", layer).strip(".")[:80] or "layer"
        plain = f"_{plain}" if TAKEN.fullmatch(plain) else plain
        # Two names that differ in case are one file on some systems.
        used, number, name = {other.casefold() for other in found.values()}, 2, plain
        while name.casefold() in used:
            name, number = f"{plain}-{number}", number + 1
        found[layer] = name
    if not found:
        raise ValueError("no layers to export: give at least one embedding [n, d] by its layer's name.")
    return found


def _table(layer: str, embedding: Any, count: int) -> npt.NDArray[np.float32]:
    # What is too large for float32 becomes infinite, and is refused below.
    with np.errstate(over="ignore"):
        rows = np.asarray(embedding, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] < 2 or len(rows) != count or count == 0:
        raise ValueError(
            f"{layer!r} is an embedding {rows.shape} with {count} rows of metadata: give [n, d] with two columns or "
            "more, and one row of metadata for each of its rows."
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{layer!r} holds values that are not finite in float32: leave those examples out.")
    return rows


def _write_table(file: Any, rows: npt.NDArray[np.float32]) -> None:
    np.savetxt(file, rows, fmt="%.9g", delimiter="\t")


def _metadata(table: pd.DataFrame) -> str:
    names = [_word(name) for name in table.columns]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"metadata has the columns {names}: give one or more, each with a name of its own.")
    columns = [
        [_word(value, is_text=not number) for value in table.iloc[:, position].tolist()]
        for position, number in enumerate(numeric(table))
    ]
    # TensorBoard takes the first line for a header only where there are two columns or more.
    lines = ["\t".join(names)] if len(names) > 1 else []
    return "".join(f"{line}\n" for line in [*lines, *map("\t".join, zip(*columns, strict=True))])


def _word(value: Any, is_text: bool = True) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if not is_text:
        return f"{value:.7g}" if isinstance(value, float) else str(value)
    text = printable(str(value)).strip()
    return f"'{text}" if text.startswith(FORMULA) else text or "-"


def _config(shapes: Mapping[str, tuple[int, ...]], side: int) -> str:
    """Protocol buffers' text format; the names hold no character that would need an escape."""
    picture = f'  sprite {{\n    image_path: "{SPRITE}"\n' + 2 * f"    single_image_dim: {side}\n" + "  }\n"
    return "".join(
        f'embeddings {{\n  tensor_name: "{name}"\n'
        + "".join(f"  tensor_shape: {size}\n" for size in shape)
        + f'  tensor_path: "{name}.tsv"\n  metadata_path: "{METADATA}"\n{picture if side else ""}}}\n'
        for name, shape in shapes.items()
    )

"""Figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from whence import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def save_figure(figure: Figure, folder: str | Path, name: str) -> Path:
    """Write ``folder/name.png`` (150 dots an inch) and ``folder/name.svg``; returns the path of the PNG.

    The same figure gives the same bytes: the SVG carries no date and its ids are hashed with a fixed salt.
    Raises ValueError if ``name`` would leave the folder or is empty, OSError if the disk is full.
    """
    import matplotlib

    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r} cannot name a figure: give a plain name without folders, 'agreement' for example")
    folder = Path(folder)
    with matplotlib.rc_context({"svg.hashsalt": "whence"}):
        files.write(folder / f"{name}.svg", lambda file: figure.savefig(file, format="svg", metadata={"Date": None}))
        engine = figure.get_layout_engine()
        figure.set_layout_engine("none")  # what the first drawing placed stays there
        try:
            files.write(folder / f"{name}.png", lambda file: figure.savefig(file, format="png", dpi=DPI))
        finally:
            figure.set_layout_engine(engine)
    return folder / f"{name}.png"

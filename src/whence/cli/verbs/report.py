"""``whence report``: the report of a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from whence.cli.errors import CommandError


def report(
    folder: Annotated[Path, Parameter(help="A run folder.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="The file; DIR/report.html if left out.")
    ] = None,
) -> None:
    """Write the report of a run folder as one HTML file, figures included, that needs no network and no script."""
    from whence import files, tables
    from whence.cli import finished
    from whence.document import document
    from whence.document.provenance import in_bytes

    run, found = finished.read(folder)
    place = output or folder / "report.html"
    _check(place)
    files.write_text(place, document(found, run.about, folder))
    print(f"{tables.printable(str(place))}  {in_bytes(place.stat().st_size)}")


def _check(place: Path) -> None:
    """An earlier report may be replaced, nothing else: ``-o report.json`` would end a run's own report."""
    from whence.document.html import MARK

    if not place.parent.is_dir():
        raise CommandError(f"{place.parent} is no folder; make it first, or choose another --output")
    if not place.exists():
        return
    if not place.is_file():
        raise CommandError(f"{place} is no plain file; name the file to be written by --output FILE")
    with place.open("rb") as file:
        begin = file.read(len(MARK.encode()))
    if begin not in (b"", MARK.encode()):
        raise CommandError(f"{place} is there already and is no report of whence; choose another --output")

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
        Path | None,
        Parameter(name=["--output", "-o"], help="The file; DIR/report.html if left out, of a page DIR/page.html."),
    ] = None,
    queries: Annotated[str | None, Parameter(help="Ids as in 3,17: write the page of these queries.")] = None,
    methods: Annotated[str | None, Parameter(help="Names of results: write the page with these methods.")] = None,
) -> None:
    """Write the report of a run folder as one HTML file, figures included, that needs no network and no script.

    With --queries or --methods, write the page of `whence explore` for these instead: one file that needs no network
    and no server.
    """
    from whence import files, tables
    from whence.document.provenance import in_bytes

    interactive = queries is not None or methods is not None
    place = output or folder / ("page.html" if interactive else "report.html")
    text = _page(folder, queries, methods) if interactive else _document(folder)
    _check(place)
    files.write_text(place, text)
    print(f"{tables.printable(str(place))}  {in_bytes(place.stat().st_size)}")


def _document(folder: Path) -> str:
    from whence.cli import finished
    from whence.document import document

    run, found = finished.read(folder)
    return document(found, run.about, folder)


def _page(folder: Path, queries: str | None, methods: str | None) -> str:
    from whence.explorer import choosing
    from whence.explorer.reader import Reader
    from whence.explorer.snapshot import snapshot

    reader = Reader.open(folder)
    chosen = choosing.queries_of(reader, None) if queries is None else choosing.queries_in(reader, queries)
    return snapshot(reader.chosen(chosen, choosing.methods_in(reader, methods)))


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

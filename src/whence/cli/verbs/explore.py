"""``whence explore``: the page over a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


def explore(
    folder: Annotated[Path, Parameter(help="A run folder.")],
    /,
    *,
    port: Annotated[
        int | None, Parameter(help="Of 127.0.0.1; a free one if left out.", validator=Number(gte=1, lte=65535))
    ] = None,
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
    model: Annotated[
        str | None, Parameter(help="MODULE:FUNCTION of your own model, for refits; never read from the run folder.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="Folder with MNIST's IDX files, for refits of that study.")] = None,
) -> None:
    """Show a run as a page in the browser, on this machine only, until Ctrl-C."""
    import sys
    from functools import partial

    from whence.explorer.serve import serve

    say = partial(print, file=sys.stderr, flush=True)
    serve(folder, port=port, browser=browser, model=model, data=data, say=say)

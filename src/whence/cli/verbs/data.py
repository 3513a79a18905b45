"""``whence data``: are the data files what they should be?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from whence.cli.errors import CommandError

app = App(name="data", help="Data files: check them.")


@app.command(name="verify")
def verify_files(folder: Annotated[Path, Parameter(help="With MNIST's four IDX files.")], /) -> int:
    """Compare the MNIST files of a folder with their known checksums; exit code 1 if one is not ok."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder; name the one that holds MNIST's IDX files")
    from whence.datasets.mnist import verify

    found = verify(folder)
    for check in found:
        print(f"{check.status:<8}  {check.bytes:>10} bytes  {check.name}")
        if check.remedy:
            print(f"          {check.remedy}")
    return 0 if all(check.status == "ok" for check in found) else 1

"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter
from cyclopts.validators import Number

Format: TypeAlias = Annotated[Literal["table", "json", "csv"], Parameter(help="How results are printed.")]
Jobs: TypeAlias = Annotated[int, Parameter(help="Worker processes.", validator=Number(gte=1))]
Out: TypeAlias = Annotated[Path, Parameter(help="Run folder: a new one, or that of the same command, which goes on.")]
Verify: TypeAlias = Annotated[
    int | None, Parameter(help="Leave out so many of the strongest of each query for real.", validator=Number(gte=1))
]

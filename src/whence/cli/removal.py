"""A removal of several training examples from a run: its ids, its name, and what refitting without them found."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pandas as pd
import xarray as xr

from whence.cli.errors import CommandError
from whence.execution.store import RunFolder
from whence.files import FileError
from whence.results import ResultError
from whence.studies.study import Report

STDIN = "-"


@dataclass(frozen=True)
class Removal:
    """Ids as words, in order and each once."""

    ids: tuple[str, ...]

    @classmethod
    def read(cls, words: str) -> Removal:
        """From ``3,17``, a JSON list, or ``-`` for either on standard input; raises CommandError if there is none."""
        text = (sys.stdin.read() if words == STDIN else words).strip()
        try:
            listed = json.loads(text) if text.startswith("[") else [word.strip() for word in text.split(",")]
        except ValueError as error:
            raise CommandError(f"--without is no JSON list ({error}); write 3,17 or [3, 17]") from error
        found = sorted({str(one) for one in listed} - {""})
        if not found:
            raise CommandError("no training example is named; write ids as in --without 3,17")
        return cls(tuple(found))

    @property
    def name(self) -> str:
        """Under which its truth is kept: the same ids have the same name."""
        return f"refit-{hashlib.sha256(json.dumps(self.ids).encode()).hexdigest()[:16]}"

    def among(self, ids: Any) -> list[Any]:
        """These of a run's training ids [n]; raises CommandError if one is not there."""
        known = {str(one): one for one in ids.tolist()}
        absent = [one for one in self.ids if one not in known]
        if absent:
            some = f"{absent[:5]}{'...' if len(absent) > 5 else ''}"
            raise CommandError(
                f"the run has no training example {some}; its ids are such as {[*known][:3]}: take them from its page"
            )
        return [known[one] for one in self.ids]

    def kept(self, run: RunFolder) -> xr.Dataset | None:
        """What was found before; None if nothing was, or it is damaged."""
        if not run.path(self.name).exists():
            return None
        try:
            truth: xr.Dataset = run.load(self.name)
        except (FileError, ResultError):
            return None
        whole = {"before", "gradient_norm", "converged"} <= set(truth.variables) and "seconds" in truth.attrs
        return truth if whole else None


def record(name: str, truth: xr.Dataset) -> dict[str, Any]:
    """A removal's truth as JSON can hold it; what is no finite number is null."""
    effect, before = truth["effect"].values[0, :, 0], truth["before"].values
    return {
        "name": name,
        "removed": truth["train"].values[truth["member"].values[0]].tolist(),
        "queries": truth["query"].values.tolist(),
        "before": _numbers(before),
        "after": _numbers(before + effect),
        "effect": _numbers(effect),
        "gradient_norm": _numbers(truth["gradient_norm"].values[0])[0],
        "converged": bool(truth["converged"].values.all()),
        "seconds": float(truth.attrs["seconds"]),
    }


def report_of(found: dict[str, Any], truth: xr.Dataset) -> Report:
    """The same for a person."""
    columns = {"query": found["queries"], **{name: found[name] for name in ("before", "after", "effect")}}
    report = Report("refit", {"effect of the removal": pd.DataFrame(columns)})
    how = "converged" if found["converged"] else "NOT CONVERGED"
    norm = truth["gradient_norm"].values.max()
    report.sentences += [
        f"{len(found['removed'])} examples removed together; {truth.attrs['quantity']} in {truth.attrs['unit']}.",
        f"{truth.attrs['kind']} refit, {how}, gradient norm {norm:.2g}; kept as {found['name']}.",
    ]
    return report


@contextmanager
def stopped_cleanly() -> Iterator[None]:
    """A request to terminate ends the work as an interrupt does: what is half-written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the cleaning short
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell(done: int, of: int, words: str) -> None:
    """One line of progress on stderr, for a person or a program."""
    print(f"progress {done} {of} {words}", file=sys.stderr, flush=True)


def _numbers(values: Any) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]

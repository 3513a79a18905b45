"""A selection's joint effect by a real refit, which another process makes while this one follows its progress."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whence.explorer import packed
from whence.explorer.alignment import Places, positions
from whence.explorer.job import Job
from whence.explorer.reader import Abilities, Reader
from whence.explorer.refused import Refused

KEPT = 20
"""Refits whose outcome is kept for the page."""


class Verification:
    """Refits of one run, one at a time. ``model``, ``data``: as the person who started the server gave them."""

    def __init__(self, reader: Reader, model: str | None = None, data: Path | None = None) -> None:
        self._reader = reader
        self._model = model
        self._data = data
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    @property
    def command(self) -> list[str]:
        """The command line of a refit; the ids come on stdin, where they need no quoting and may be many."""
        folder = str(self._reader.run.folder.resolve())
        words = [sys.executable, "-m", "whence.cli.app", "refit", folder, "--without=-", "--format=json"]
        words += [f"--model={self._model}"] if self._model else []
        return words + ([f"--data={self._data}"] if self._data else [])

    def start(self, chosen: Sequence[int]) -> str:
        """Begins a refit without some training examples; the name of the job. Raises Refused."""
        if not self._reader.can.verify:
            raise Refused(self._reader.can.why_not, 409)
        if len(chosen) >= len(self._reader.train):
            raise Refused("nothing would be left to train on; select fewer examples")
        ids = json.dumps(self._reader.train.ids[list(chosen)].tolist())
        for job in [*self._jobs.values()]:
            if job.alive and job.state == "cancelled":
                job.close()  # one that was cancelled a moment ago is given the time to end
        with self._lock:
            busy = [job for job in self._jobs.values() if job.alive or job.state == "running"]
            if busy:
                running = busy[0].state == "running"
                words = "a refit is running; wait for it, or cancel it" if running else "a refit is ending; try again"
                raise Refused(words, 409)
            name = secrets.token_hex(8)
            try:
                self._jobs[name] = Job(self.command, ids, self._result)
            except OSError as error:
                raise Refused(f"the refit could not be started ({error.strerror})", 409) from error
            for old in [*self._jobs][:-KEPT]:
                del self._jobs[old]
        return name

    def record(self, name: str) -> dict[str, Any]:
        """How far a refit is. Raises Refused for one that is not known."""
        return self._job(name).record

    def cancel(self, name: str) -> dict[str, Any]:
        """Ends a refit. Raises Refused for one that is not known."""
        job = self._job(name)
        job.cancel()
        return job.record

    def close(self) -> None:
        """Ends whatever runs."""
        for job in self._jobs.values():
            if job.state == "running":
                job.close()

    def _job(self, name: str) -> Job:
        found = self._jobs.get(name)
        if found is None:
            raise Refused("there is no such refit any more; start it again", 404)
        return found

    def _result(self, text: str) -> dict[str, Any]:
        """What the refit printed, in the page's order of queries. Raises Refused if it is not what was agreed."""
        try:
            found = json.loads(text)
            ids = np.asarray(found["queries"])
            at = positions(self._reader.queries.ids, ids)
            columns = {name: np.asarray(found[name], dtype=np.float64) for name in ("effect", "before", "after")}
            if any(values.shape != ids.shape for values in columns.values()):
                raise ValueError("columns of unequal length")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused("the refit printed no result that can be read; run `whence refit` by hand") from error
        packs = {name: packed.f32(_laid(values, at)) for name, values in columns.items()}
        more = {"seconds": packed.number(found.get("seconds")), "name": str(found.get("name", ""))}
        return {**packs, **more, "converged": found.get("converged") is True}


def abilities(reader: Reader, model: str | None) -> Abilities:
    """What can be done with a run that is served; what is missing for refits is said."""
    act = os.access(reader.run.folder, os.W_OK)
    refit = reader.about.get("refit")
    kind = refit.get("kind") if isinstance(refit, Mapping) else None
    if kind is None:
        return Abilities(act, False, "this run does not say how to refit its model; give the run's command again")
    if kind == "program" and not model:
        words = "a refit runs your model's code: start the page by `whence explore DIR --model MODULE:FUNCTION`"
        return Abilities(act, False, words)
    if not act:
        return Abilities(act, False, "the run folder cannot be written to, and a refit is kept there")
    return Abilities(act, True, "")


def _laid(values: npt.NDArray[Any], at: Places) -> npt.NDArray[Any]:
    if len(values) == 0:
        return np.full(len(at), np.nan)
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)

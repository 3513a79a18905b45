"""`whence explore` as a person starts it: a process of its own, where it is, and what it said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Explored:
    """A server of one run folder; ``address`` ends in a slash."""

    folder: Path
    address: str
    pid: int

    def get(self, path: str, **parameters: object) -> Any:
        """What the API answers. Raises HTTPError if it refuses."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(self.address.rstrip("/") + path + query) as answer:
            return json.loads(answer.read())


@contextmanager
def explored(folder: Path, *options: str, cwd: Path | None = None) -> Iterator[Explored]:
    """The server of a run folder until the block ends; ``options`` of the command line.

    Raises RuntimeError if it does not start, or printed a traceback while it ran.
    """
    command = [sys.executable, "-m", "whence.cli.app", "explore", str(folder), "--no-browser", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline() if process.stderr else ""
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        if found is None:
            raise RuntimeError(f"the server did not start: {said}{process.stderr.read() if process.stderr else ''}")
        yield Explored(folder, found.group(), process.pid)
    finally:
        process.terminate()
        said += process.communicate()[1]
    if "Traceback" in said:
        raise RuntimeError(f"the server failed: {said}")

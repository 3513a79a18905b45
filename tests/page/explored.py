"""`whence explore` as a person starts it: a process of its own, its address, and what it said."""

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

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Explored:
    """A server of one run folder; ``address`` ends in a slash."""

    folder: Path
    address: str

    def get(self, path: str, **parameters: object) -> Any:
        """What the API answers."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(self.address.rstrip("/") + path + query) as answer:
            return json.loads(answer.read())


@contextmanager
def explored(folder: Path, *options: str) -> Iterator[Explored]:
    """The server, until the block ends. It must say where it is, and never print a traceback."""
    command = [sys.executable, "-m", "whence.cli.app", "explore", str(folder), "--no-browser", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True)
    said = ""
    try:
        said = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said + process.stderr.read()
        yield Explored(folder, found.group())
    finally:
        process.terminate()
        said += process.communicate()[1]
        assert "Traceback" not in said, said

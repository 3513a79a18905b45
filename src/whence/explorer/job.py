"""A process that this one follows: what it is given, how far it says it is, what it prints, and how it is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Any, Literal, TypeAlias

from whence.explorer.refused import Refused
from whence.tables import printable

State: TypeAlias = Literal["running", "done", "failed", "cancelled"]
PATIENCE = 5.0
"""Seconds that a cancelled process has to end by itself."""
LINES = 20
"""Lines of stderr in which an error is looked for."""


class Job:
    """One process from its start to its end, in threads of its own.

    It says ``progress DONE OF WORDS`` on stderr, and its result on stdout when it is done.
    """

    def __init__(self, command: Sequence[str], given: str, understand: Callable[[str], dict[str, Any]]) -> None:
        """``given``: for its stdin; ``understand``: makes the result of its stdout, or raises Refused.

        Raises OSError if it cannot be started.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # A group of its own: what it starts is cancelled with it, and Ctrl-C here does not reach it.
            start_new_session=True,
        )
        self._understand = understand
        self._lock = threading.Lock()
        self._told: list[str] = []
        self.state: State = "running"
        self.done, self.of, self.words = 0, 0, "starting"
        self.result: dict[str, Any] | None = None
        self.error: str | None = None
        threading.Thread(target=self._give, args=(given,), daemon=True).start()
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process is still there: one that was cancelled takes a moment to end."""
        return self._process.poll() is None

    @property
    def record(self) -> dict[str, Any]:
        """How far it is, as the page is told."""
        with self._lock:
            return {name: getattr(self, name) for name in ("state", "done", "of", "words", "result", "error")}

    def cancel(self) -> None:
        """Ends the process and all that it started, gently first; one that is over stays as it is."""
        with self._lock:
            if self.state != "running":
                return
            self.state, self.words = "cancelled", "cancelled"
        self._signal(signal.SIGTERM)
        threading.Thread(target=self._insist, daemon=True).start()

    def close(self) -> None:
        """As :meth:`cancel`, and waits for the end."""
        self.cancel()
        self._insist()

    def _give(self, text: str) -> None:
        # A process that ended before it read all says why on stderr.
        with contextlib.suppress(OSError), self._process.stdin or contextlib.nullcontext() as stream:
            if stream is not None:
                stream.write(text)

    def _follow(self) -> None:
        """Hears the process to its end; stdout in a thread apart, since either pipe may fill."""
        said: list[str] = []
        out = threading.Thread(target=_each_line, args=(self._process.stdout, said.append), daemon=True)
        out.start()
        _each_line(self._process.stderr, self._hear)
        out.join()
        code = self._process.wait()
        result, error = None, None if code == 0 else self._reason(code)
        if code == 0:
            try:
                result = self._understand("".join(said))
            except Refused as refused:
                error = refused.words
        with self._lock:
            if self.state == "running":
                self.state, self.result, self.error = "done" if result is not None else "failed", result, error

    def _hear(self, line: str) -> None:
        words = line.split(maxsplit=3)
        with self._lock:
            if len(words) >= 3 and words[0] == "progress" and words[1].isdecimal() and words[2].isdecimal():
                self.done, self.of = int(words[1]), int(words[2])
                self.words = printable(words[3].strip()) if len(words) > 3 else ""
            elif line.strip():
                self._told = [*self._told, printable(line.strip())][-LINES:]

    def _reason(self, code: int) -> str:
        said = [line.removeprefix("error: ") for line in self._told if line.startswith("error: ")]
        if said:
            return said[-1]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the process {how}{': ' + self._told[-1] if self._told else ''}; run it by hand to see more"

    def _insist(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def _signal(self, number: int) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _each_line(stream: IO[str] | None, hear: Callable[[str], None]) -> None:
    """Every line of a pipe until its other end is closed."""
    if stream is not None:
        with stream:
            for line in stream:
                hear(line)

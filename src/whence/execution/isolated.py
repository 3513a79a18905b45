"""A piece of work in a process of its own, with what it took: seconds, processor seconds, the largest memory.

A process that did other work before would report the memory of that, and one that dies of hunger would take its parent
along. What the work holds is sent there and its result sent back, as for :class:`~whence.execution.JoblibMapper`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor, TerminatedWorkerError


@dataclass(frozen=True)
class Step:
    """One step of the work: wall-clock and processor ``seconds``, and the largest resident memory by its end in MB."""

    seconds: float
    processor: float
    peak: float


@dataclass(frozen=True)
class Isolated:
    """``value``: what was returned, None if it failed; ``failure``: in words, None if it did not; ``warned``: what its
    warnings said, each once; ``start``: the resident memory in MB before it began, with data and libraries loaded.
    """

    value: Any
    failure: str | None
    warned: tuple[str, ...]
    start: float


def isolated(fn: Callable[..., Any], *given: Any) -> Isolated:
    """Call ``fn(*given)`` in a new process. Errors that a user may mend are told, not raised.

    Those are ValueError, KeyError, TypeError, RuntimeError and MemoryError, and the process's death; others come
    through unchanged.
    """
    pool = ProcessPoolExecutor(max_workers=1)
    try:
        found: Isolated = pool.submit(partial(_watched, fn), *given).result()
    except (TerminatedWorkerError, BrokenProcessPool) as error:
        words = "its process was ended by the system; most often the memory is exhausted"
        return Isolated(None, f"{words} ({type(error).__name__})", (), float("nan"))
    finally:
        pool.shutdown(wait=True, kill_workers=True)
    return found


def timed(fn: Callable[[], Any]) -> tuple[Any, Step]:
    """What ``fn`` returns, and what it took."""
    wall, processor = time.perf_counter(), time.process_time()
    value = fn()
    return value, Step(time.perf_counter() - wall, time.process_time() - processor, peak())


def peak() -> float:
    """The largest resident memory of this process so far in MB; NaN where the system does not say."""
    return _status("VmHWM")


def _watched(fn: Callable[..., Any], *given: Any) -> Isolated:
    start = _status("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            value, failure = fn(*given), None
        except (ValueError, KeyError, TypeError, RuntimeError, MemoryError) as error:
            value, failure = None, f"{type(error).__name__}: {error}"
    said = tuple(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)))
    return Isolated(value, failure, said, start)


def _status(name: str) -> float:
    """Of /proc, since ``ru_maxrss`` begins with what the parent held; elsewhere ``ru_maxrss`` all the same."""
    place = Path("/proc/self/status")
    if place.exists():
        for line in place.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows has none
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6

"""Work in a process of its own: results, failures, warnings, and what it took."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from whence.execution.isolated import isolated, peak, timed


def double(x: int) -> tuple[int, int]:
    return os.getpid(), 2 * x


def fails(kind: type[Exception]) -> None:
    raise kind("no good")


def warns() -> int:
    for _ in range(2):
        warnings.warn("twice said", RuntimeWarning, stacklevel=1)
    warnings.warn("of no interest", UserWarning, stacklevel=1)
    return 1


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hungry(megabytes: int) -> float:
    block = np.ones(megabytes * 131_072)
    return float(block[0]) + timed(lambda: None)[1].peak


def test_each_call_has_a_process_of_its_own() -> None:
    first, second = isolated(double, 3), isolated(double, 4)
    assert (first.value[1], second.value[1]) == (6, 8)
    assert len({os.getpid(), first.value[0], second.value[0]}) == 3
    assert first.failure is None
    assert first.warned == ()


@pytest.mark.parametrize("kind", [ValueError, KeyError, TypeError, RuntimeError, MemoryError])
def test_failures_are_told_and_not_raised(kind: type[Exception]) -> None:
    found = isolated(fails, kind)
    assert found.value is None
    assert found.failure is not None
    assert found.failure.startswith(kind.__name__)
    assert "no good" in found.failure


def test_a_defect_comes_through() -> None:
    with pytest.raises(ZeroDivisionError, match="no good"):
        isolated(fails, ZeroDivisionError)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_killed_process_is_told() -> None:
    found = isolated(dies)
    assert found.value is None
    assert "ended by the system" in str(found.failure)


def test_warnings_of_the_work_are_kept_once() -> None:
    assert isolated(warns).warned == ("twice said",)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only ru_maxrss, which begins with the parent's")
def test_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    ballast = np.ones(400 * 131_072)
    small, large = isolated(hungry, 1), isolated(hungry, 300)
    assert large.value - small.value == pytest.approx(299 * 2**20 / 1e6, rel=0.1)
    assert small.start < small.value < peak()
    assert ballast[0] == 1


def test_seconds() -> None:
    value, step = timed(lambda: time.sleep(0.2) or 7)
    assert value == 7
    assert 0.2 <= step.seconds < 2
    assert step.processor < 0.15
    assert step.peak > 1 or math.isnan(step.peak)

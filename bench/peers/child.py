"""One row in its own process: ``python -m bench.peers.child QUESTION PEER ROW OUT``; started by ``bench.peers.run``.

Imports, reading the question and one small forward and backward pass come before the clock starts, for everybody.
What happens is written to ``stages.jsonl`` as it happens, so that a killed process leaves what it finished. Nothing
but torch, NumPy and the peer is imported.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.peers import question as questions
from bench.peers.row import NotBuilt, Row

Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "std::bad_alloc")


def main() -> int:
    """Run the row; the exit status is 0 even where the row failed, for that is a result."""
    arguments = _arguments()
    _end_with_parent()
    out = Path(arguments.out)
    if arguments.gib:
        size = arguments.gib * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    note = _Notes(out / "stages.jsonl")
    try:
        start = time.perf_counter()
        peer = importlib.import_module(f"bench.peers.{arguments.peer}")
        for module in peer.MODULES:
            importlib.import_module(module)
        row: Row = peer.ROWS[arguments.row]
        question = questions.read(Path(arguments.question))
        _warm_up(question)
        note(event="ready", seconds=time.perf_counter() - start, peak=_peak())
        score = note.timed("fit", lambda: row.fit(question))
        before = 0.0
        for count in question.counts:
            if before > arguments.limit / 4:
                note(event="left out", stage=f"q={count}", before=before)
                break
            started = time.perf_counter()
            found = note.timed(f"q={count}", lambda count=count: score(count))  # type: ignore[misc]
            before = time.perf_counter() - started
            _keep(found, out / f"scores-{count}.npz")
        note(event="finished")
    except NotBuilt as error:
        note(event="failed", reason=f"not built: {error}")
    except BaseException as error:  # noqa: BLE001  whatever a peer raises is its result
        traceback.print_exc()
        note(event="failed", reason=_reason(error))
    return 0


class _Notes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, **said: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def timed(self, stage: str, work: Callable[[], Result]) -> Result:
        self(event="begins", stage=stage)
        processor, start = _processor(), time.perf_counter()
        found = work()
        seconds = time.perf_counter() - start
        self(event="done", stage=stage, seconds=seconds, processor=_processor() - processor, peak=_peak())
        return found


def _end_with_parent() -> None:
    """A race that is killed takes its row along: two rows at once would spoil each other's clock. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _warm_up(question: questions.Question) -> None:
    """Threads and kernels are there before anybody's clock starts."""
    inputs, targets = question.train[0][:32], question.train[1][:32]
    parameters = [value for value in question.model.parameters() if value.requires_grad]
    torch.autograd.grad(F.cross_entropy(question.model(inputs), targets), parameters)


def _keep(scores: Tensor, path: Path) -> None:
    values = scores.detach().cpu().numpy()
    temporary = path.with_suffix(".partial.npz")
    np.savez(temporary, scores=values.astype(np.float32) if values.size > 10**7 else values)
    temporary.replace(path)


def _processor() -> float:
    """User and system seconds of this process and of those that it started and that ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in both)


def _peak() -> float:
    """The largest resident memory so far in MB; ru_maxrss would begin with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _reason(error: BaseException) -> str:
    said = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError) or any(part in said for part in OUT_OF_MEMORY):
        return f"out of memory: {said[:160]}"
    return f"error: {type(error).__name__}: {said}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("question", "peer", "row", "out"):
        parser.add_argument(name)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--gib", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Start a row in its environment, watch its clock, kill it where it overruns, and read what it left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers.environments import ROOT, EnvironmentFailed, python_of

LOOK = 0.2
OVERRUN, KILLED = "not finished in", "killed in"


@dataclass(frozen=True)
class Limits:
    """``fit`` and ``query``: seconds that one stage may take; ``threads``; ``gib``: of address space, 0 for no limit.

    After a stage of queries that took more than a quarter of ``query``, more queries are not asked.
    """

    fit: float = 600.0
    query: float = 600.0
    threads: int = 1
    gib: int = 12


@dataclass(frozen=True)
class Run:
    """What one process did. ``stages``: "fit", "q=1", ... to seconds, processor seconds and peak MB.

    ``reason``: why it ended early, or empty; ``folder`` holds the scores as ``scores-COUNT.npz``; ``idle``: resident MB
    before the fit; ``load`` and ``at``: the machine's load average and the time when it began.
    """

    stages: dict[str, dict[str, float]]
    reason: str
    peak: float
    idle: float
    folder: Path
    load: float
    at: str


def run(question: Path, peer: str, row: str, out: Path, limits: Limits) -> Run:
    """Run a row, unless ``out`` holds one that has ended; one that lacked time and may now have more is run again.

    Never raises for what the row does.
    """
    ended = out / "ended.json"
    if not ended.exists() or _again(json.loads(ended.read_text(encoding="utf-8")), limits):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        load, at = os.getloadavg()[0], time.strftime("%Y-%m-%dT%H:%M:%S%z")
        reason = _process(question, peer, row, out, limits)
        said = {"reason": reason, "at": at, "load": load, "limits": [limits.fit, limits.query, limits.gib]}
        ended.write_text(json.dumps(said), encoding="utf-8")
    return read(out)


def _again(ended: dict[str, Any], limits: Limits) -> bool:
    """Whether a row had less time than it may have now, or was killed by others."""
    fit, query, _ = ended["limits"]
    more = limits.fit > fit or limits.query > query
    return (OVERRUN in ended["reason"] and more) or KILLED in ended["reason"]


def read(out: Path) -> Run:
    """What a row left in its folder."""
    events = _events(out / "stages.jsonl")
    ended = json.loads((out / "ended.json").read_text(encoding="utf-8"))
    reason = ended["reason"]
    stages = {
        event["stage"]: {name: event[name] for name in ("seconds", "processor", "peak")}
        for event in events
        if event["event"] == "done"
    }
    peak = max((event["peak"] for event in events if "peak" in event), default=0.0)
    idle = next((event["peak"] for event in events if event["event"] == "ready"), 0.0)
    for event in events:
        if event["event"] == "failed":
            reason = event["reason"]
        if event["event"] == "left out":
            reason = f"{event['stage']} not asked: the stage before took {event['before']:.0f} s"
    return Run(stages, reason, peak, idle, out, ended["load"], ended["at"])


def _process(question: Path, peer: str, row: str, out: Path, limits: Limits) -> str:
    try:
        python = python_of(peer)
    except EnvironmentFailed as error:
        return f"not installed: {error}"
    command = [str(python), "-m", "bench.peers.child", str(question), peer, row, str(out)]
    command += ["--threads", str(limits.threads), "--limit", str(limits.query), "--gib", str(limits.gib)]
    scratch = tempfile.mkdtemp(prefix="whence-bench-")
    threads = {f"{name}_NUM_THREADS": str(limits.threads) for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "TMPDIR": scratch}
    environment = {**os.environ, **threads, **paths, "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1"}
    with (out / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=scratch, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return _watch(process, out, limits)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(scratch, ignore_errors=True)


def _watch(process: subprocess.Popen[bytes], out: Path, limits: Limits) -> str:
    """Wait for the end; why it was ended early, or an empty string."""
    stage, since, seen = "imports", time.monotonic(), 0
    while process.poll() is None:
        time.sleep(LOOK)
        events = _events(out / "stages.jsonl")
        for event in events[seen:]:
            since, stage = time.monotonic(), event.get("stage", stage)
        seen = len(events)
        limit = limits.query if stage.startswith("q=") else limits.fit
        if time.monotonic() - since > limit:
            return f"{OVERRUN} {limit:.0f} s: {stage}"
    if process.returncode == 0:
        return ""
    if process.returncode == -signal.SIGKILL:
        return f"{KILLED} {stage}: by hand, or for the machine's memory"
    return f"the process ended with {process.returncode} in {stage}"


def _events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):  # a line that is being written
            found.append(json.loads(line))
    return found

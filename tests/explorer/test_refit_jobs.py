"""A refit in another process: its progress, its outcome, and that nothing of it is left when it is cancelled."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_client import Client
from small_run import Made, unpacked

from whence.explorer.served import Served
from whence.explorer.verification import Verification

Visit = Callable[..., Client]
FOUND = {
    "name": "refit-1", "removed": [1], "queries": [5003, 5000, 7], "effect": [0.3, 0.0, 9.0], "before": [1.0, 2.0, 9.0],
    "after": [1.3, 2.0, 9.0], "gradient_norm": 1e-9, "converged": True, "seconds": 0.5,
}  # fmt: skip


@pytest.fixture
def able(visit: Visit, made: Made, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Client]:
    """A client whose refits run this code instead."""

    def given(code: str) -> Client:
        monkeypatch.setattr(Verification, "command", property(lambda self: [sys.executable, "-c", code]))
        return visit(made.folder, model="made:up")

    return given


def outcome(client: Client, job: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := client.get("/api/verify", job=job))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert found["state"] == state, found
    told: dict[str, Any] = found
    return told


def test_a_refit_from_start_to_end(able: Callable[[str], Client], made: Made) -> None:
    code = f"""
import json, sys
assert json.load(sys.stdin) == {made.train_ids[[4, 2]].tolist()}
print("a warning", file=sys.stderr)
print("progress 2 5 step two of five", file=sys.stderr)
print({json.dumps(FOUND)!r})
"""
    client = able(code)
    assert client.get("/api/about")["can"] == {"act": True, "verify": True, "why_not": ""}
    job = client.post("/api/verify", {"positions": [4, 2]})["job"]
    found = outcome(client, job, "done")
    assert (found["done"], found["of"], found["words"]) == (2, 5, "step two of five")
    result = found["result"]
    np.testing.assert_allclose(unpacked(result["effect"]), [0.0, np.nan, np.nan, 0.3, np.nan], rtol=1e-6)
    np.testing.assert_allclose(unpacked(result["after"]), [2.0, np.nan, np.nan, 1.3, np.nan], rtol=1e-6)
    assert (result["seconds"], result["converged"], found["error"]) == (0.5, True, None)
    # Another may be started when one is over.
    client.post("/api/verify", {"positions": [1]})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import sys; print('error: the model is gone; train it again', file=sys.stderr); sys.exit(1)",
            "the model is gone",
        ),
        ("import sys; print('what', file=sys.stderr); sys.exit(3)", "ended with code 3: what"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("print('no json')", "no result that can be read"),
        ("print('[]')", "no result that can be read"),
        ('print(\'{"queries": [1], "effect": [], "before": [], "after": []}\')', "no result that can be read"),
    ],
)
def test_a_refit_that_fails_says_why(able: Callable[[str], Client], code: str, words: str) -> None:
    client = able(code)
    job = client.post("/api/verify", {"positions": [1]})["job"]
    found = outcome(client, job, "failed")
    assert words in found["error"]
    assert found["result"] is None


def test_cancelling_ends_all_that_was_started(able: Callable[[str], Client], tmp_path: Path) -> None:
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
print("progress 1 9 working", file=sys.stderr, flush=True)
time.sleep(60)
"""
    client = able(code)
    job = client.post("/api/verify", {"positions": [1]})["job"]
    while client.get("/api/verify", job=job)["done"] == 0:
        time.sleep(0.02)
    assert "is running" in client.post("/api/verify", {"positions": [2]}, 409)["error"]
    assert client.post("/api/cancel", {"job": job})["state"] == "cancelled"
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert outcome(client, job, "cancelled")["words"] == "cancelled"
    assert client.post("/api/cancel", {"job": job})["state"] == "cancelled"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_end_of_the_server_ends_a_refit(able: Callable[[str], Client]) -> None:
    client = able("import time; time.sleep(60)")
    client.post("/api/verify", {"positions": [1]})
    (job,) = client.served.verification._jobs.values()
    client.http.__exit__(None, None, None)
    assert not job.alive
    client.http.__enter__()


def test_what_is_missing_is_said(visit: Visit, made: Made) -> None:
    client = visit(made.folder)
    can = client.get("/api/about")["can"]
    assert (can["act"], can["verify"]) == (True, False)
    assert "--model MODULE:FUNCTION" in can["why_not"]
    assert client.post("/api/verify", {"positions": [1]}, 409)["error"] == can["why_not"]


def test_at_least_one_example_stays(visit: Visit, tmp_path: Path) -> None:
    client = visit(Made(tmp_path / "run", train=2).write(), model="made:up")
    assert "nothing would be left" in client.post("/api/verify", {"positions": [0, 1]}, 400)["error"]


def test_the_command_takes_nothing_from_the_run_folder(made: Made) -> None:
    served = Served.open(made.folder, model="mine:load", data=Path("d"))
    words = served.verification.command
    assert words[:3] == [sys.executable, "-m", "whence.cli.app"]
    assert words[3:] == [
        "refit", str(made.folder.resolve()), "--without=-", "--format=json", "--model=mine:load", "--data=d"
    ]  # fmt: skip
    assert "made:up" not in " ".join(words)
    assert os.path.isabs(words[4])

"""A virtual environment a peer, and one for ours without extras, made where missing: below ``WHENCE_BENCH_CACHE``.

torch comes first and pinned, so that no peer changes it. A peer that asks for torchvision is installed without its
requirements, which are named here instead: beside a CPU build of torch the mere presence of torchvision breaks imports.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = "whence"
TORCH = "torch==2.13.0"
FORBIDDEN = "torchvision"
INSTALLING = 1800


@dataclass(frozen=True)
class Environment:
    """``peer`` pinned; ``more``: what it needs beside torch; ``alone``: without the requirements it states itself."""

    peer: str
    more: tuple[str, ...] = ()
    alone: bool = False


ENVIRONMENTS = {
    "captum": Environment("captum==0.9.0", ("numpy",)),
    "kronfluence": Environment(
        "kronfluence==1.0.1",
        ("numpy", "accelerate>=0.31", "einops>=0.8", "einconv>=0.1", "opt_einsum>=3.3", "safetensors", "tqdm"),
        alone=True,
    ),
    "dattri": Environment("dattri==0.3.0", ("numpy",)),
    "pydvl": Environment("pyDVL[influence]==0.10.0"),
    "traker": Environment("traker==0.3.2", ("numpy", "setuptools")),
}


def _required() -> tuple[str, ...]:
    """What this project asks for, its extras aside."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return tuple(said["project"]["dependencies"])


ENVIRONMENTS[OURS] = Environment(OURS, _required(), alone=True)


class EnvironmentFailed(RuntimeError):
    """A peer could not be installed here; its rows say so."""


def cache() -> Path:
    """Where environments, questions and finished rows lie."""
    found = os.environ.get("WHENCE_BENCH_CACHE")
    folder = Path(found) if found else Path.home() / ".cache" / "whence-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python_of(name: str) -> Path:
    """The interpreter for rows of this peer, made where it is missing; raises EnvironmentFailed with pip's last words.

    That of ours holds what it requires; its source is the checkout that runs here (``bench.peers.run``).
    """
    folder = cache() / "environments" / name
    python = folder / "bin" / "python"
    wanted = ENVIRONMENTS[name]
    if _kept(folder) != _asked(wanted):
        _make(folder, python, wanted)
    return python


def versions_of(name: str) -> list[str]:
    """What is installed in the environment of this peer, by name and version and nothing of where it lies."""
    return _run([str(python_of(name)), "-m", "pip", "list", "--format=freeze"]).split()


def _make(folder: Path, python: Path, wanted: Environment) -> None:
    print(f"making the environment of {wanted.peer} in {folder}", file=sys.stderr, flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += shlex.split(os.environ.get("WHENCE_BENCH_PIP", ""))
    _run([*pip, TORCH, *wanted.more])
    source = str(ROOT) if wanted.peer == OURS else wanted.peer
    _run([*pip, "--no-deps", source] if wanted.alone else [*pip, TORCH, source])
    installed = _run([str(python), "-m", "pip", "list", "--format=freeze"]).lower()
    if FORBIDDEN in installed:
        raise EnvironmentFailed(f"{wanted.peer} brought {FORBIDDEN}; name its requirements in {__file__} instead")
    (folder / "asked.json").write_text(json.dumps(_asked(wanted)), encoding="utf-8")


def _asked(wanted: Environment) -> list[object]:
    return [TORCH, wanted.peer, list(wanted.more), wanted.alone]


def _kept(folder: Path) -> object:
    path = folder / "asked.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailed(f"{' '.join(command)}: not finished after {INSTALLING} s") from error
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def main() -> int:
    """Make all environments, or those that are named; print what is in them."""
    for name in sys.argv[1:] or ENVIRONMENTS:
        try:
            print(json.dumps({name: versions_of(name)}))
        except EnvironmentFailed as error:
            print(json.dumps({name: str(error)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

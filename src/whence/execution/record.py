"""``run.json``: what a run is the result of. It is written before any work and never changed."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from whence import files
from whence.execution.lock import RunError

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

FORMAT = "whence-run"
SCHEMA = 1


def write(folder: Path, kind: str, config: Mapping[str, Any]) -> None:
    """Write the record of a new run: what it is, with which versions and at which commit it began."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("whence", "torch", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    header = {"format": FORMAT, "schema": SCHEMA, "kind": kind, "config": config}
    began = {"versions": versions, "commit": _commit(), "started": datetime.now(UTC).isoformat()}
    files.write_json(folder / "run.json", header | began)


def _commit() -> str | None:
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def read(folder: Path) -> Mapping[str, Any]:
    """The record of a run; raises RunError if there is none, or it is damaged or of another schema."""
    path = folder / "run.json"
    if not path.exists():
        raise RunError(f"{folder} holds no run (run.json is missing); make one with RunFolder.open")
    try:
        about = files.read_json(path)
    except files.FileError as error:
        raise RunError(f"{error}; restore run.json from a copy, or start again in another folder") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise RunError(f"{path} is not the record of a run of this library; choose another folder")
    if about.get("schema") != SCHEMA:
        raise RunError(
            f"{folder} has run schema {about.get('schema')}, this version reads {SCHEMA}; "
            "use the version of whence that wrote it, or another folder"
        )
    if not isinstance(about.get("config"), dict) or not isinstance(about.get("kind"), str):
        raise RunError(f"{path} lacks its config or kind; restore it from a copy, or start again in another folder")
    return about


def check_place(folder: Path) -> None:
    """Raises RunError for a place that is taken; only what a killed start of a run leaves behind is let pass."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; a run needs a folder of its own")
    if not folder.exists() or (folder / "run.json").exists():
        return
    foreign = sorted(p.name for p in folder.iterdir() if p.name != "run.lock" and not p.name.startswith(".run.json."))
    if foreign:
        raise RunError(f"{folder} is not a run and not empty (it holds {foreign[:3]}); choose a new or empty folder")


def check_same(folder: Path, about: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises RunError, naming key by key what differs between the recorded kind and config and those asked for."""
    old = dict(_leaves({"kind": about["kind"], "config": about["config"]}))
    new = dict(_leaves(asked))
    absent = "(absent)"
    changed = [
        f"{name}: {old.get(name, absent)} -> {new.get(name, absent)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise RunError(
            f"{folder} was made with another configuration ({'; '.join(changed)}); "
            "use another folder, or the same configuration"
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and JSON texts of all leaves; as texts, because ``True == 1`` and yet they differ."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value)


def plain(config: Mapping[str, JSON]) -> dict[str, Any]:
    """The configuration as it will be read back; raises RunError if JSON cannot hold it."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise RunError(f"the configuration cannot be written as JSON ({error}); use plain finite values") from error
    return found

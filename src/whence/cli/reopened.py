"""The model of a run folder, opened again: by a study's own code, or by the user's that is named anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from whence.attribution.refitted import refit_for
from whence.cli import asked
from whence.cli.errors import CommandError
from whence.cli.program import fingerprint, load
from whence.execution.store import RunFolder
from whence.parameters import checkpoint_hash
from whence.retraining.proximal import Proximal
from whence.studies import catalogue
from whence.studies.reopened import Reopened
from whence.studies.study import Settings, Size


def reopen(run: RunFolder, program: str | None, data: Path | None) -> Reopened:
    """The trained model of a run, with its data and queries.

    ``program``: MODULE:FUNCTION of a run by ``whence attribute``. What its run folder names is not imported: the folder
    may be a stranger's. ``data``: where a study's files lie, if it reads any.
    Raises CommandError where the run, or the model that the program returns, is another than was meant.
    """
    kind = run.about["kind"]
    if kind == "attribute":
        return _of_program(run, program)
    if program is not None:
        raise CommandError(f"{run.folder} is a {kind}, whose code is known; leave --model out")
    if kind == "study":
        return _of_study(run, data)
    raise CommandError(f"{run.folder} is a {kind} that names no model; refit in Python: whence.retraining.leave_out")


def damping_of(run: RunFolder) -> float:
    """At which damping a run's scores are checked: their own, else that of a proximal refit by default.

    The scores have it as a number also where the method's options say "auto".
    """
    options = run.config.get("options")
    own = options.get("damping") if isinstance(options, dict) else None
    if isinstance(own, str):
        own = run.load("scores").attrs.get("damping")
    return float(own) if isinstance(own, int | float) else Proximal().strength


def _of_program(run: RunFolder, program: str | None) -> Reopened:
    if program is None:
        raise CommandError(
            f"{run.folder} was made by a program of yours; name it by --model MODULE:FUNCTION. (What the folder names "
            "is not imported by itself, since a folder may come from a stranger.)"
        )
    loaded, config = load(program), run.config
    _check_same(
        program, config, {"model": checkpoint_hash(loaded.task.module), "train_data": fingerprint(loaded.train)}
    )
    queries = asked.select(loaded.task, loaded.queries, str(config.get("queries")))
    _check_same(program, config, {"query_data": fingerprint(queries)})
    return Reopened(loaded.task, loaded.train, queries, refit_for(damping_of(run)))


def _check_same(program: str, config: Mapping[str, Any], found: Mapping[str, str]) -> None:
    other = [name.replace("_", " ") for name, value in found.items() if config.get(name) != value]
    if other:
        raise CommandError(
            f"{program}() returns another {' and '.join(other)} than this run is of; name its own program"
        )


def _of_study(run: RunFolder, data: Path | None) -> Reopened:
    name, size, seed = str(run.config.get("study")), run.config.get("size"), run.config.get("seed")
    if name not in catalogue.STUDIES:
        raise CommandError(f"{run.folder} is of a study that this version does not know; take the version that made it")
    study = catalogue.find(name)
    if study.reopen is None:
        raise CommandError(f"the study {name!r} does not offer its model again; refit in Python: whence.retraining")
    sound = size in get_args(Size) and isinstance(seed, int)
    for effort in study.efforts if sound else ():
        settings = Settings(size, seed, effort=effort, data=data)  # type: ignore[arg-type]
        if {"study": name, **study.config(settings)} == run.config:
            return study.reopen(run, settings)
    raise CommandError(f"{run.folder} was made with settings that this version does not know; run the study again")

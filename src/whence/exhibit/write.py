"""Writing the exhibit of a run, piece by piece: a run that was killed goes on, and what is done is not made again."""

from __future__ import annotations

import json
from functools import partial

import torch

from whence import files
from whence.examples import Examples
from whence.execution.store import RunFolder
from whence.exhibit import judged, places, rows
from whence.exhibit.about import FORMAT, SCHEMA
from whence.exhibit.columns import columns_of, said_of
from whence.exhibit.kept import NAME, ROWS, SIDES, about_of
from whence.exhibit.work import Arrays, Choices, Say, Work
from whence.objective import Objective, objective_of
from whence.task import AbstractTask
from whence.tasks import Classification, Regression

Sides = dict[str, Examples]


def exhibit(
    run: RunFolder,
    task: AbstractTask,
    train: Examples,
    queries: Examples,
    choices: Choices | None = None,
    say: Say = lambda text: None,
) -> None:
    """Write what a page shows of a run beside its scores; see :mod:`whence.exhibit` for the layout.

    ``run``: open for writing, with the results that are judged. ``say`` hears what is done, in words. What cannot be
    made of these data (a map of one number, say) is left out and named in the notes.
    Raises ValueError for bad data or a bad model, KeyError for a layer that is not there, RunError if the run is not
    open for writing.
    """
    choices = choices or Choices()
    run.check_writable()
    work = Work(run.shelf(NAME), objective_of(task, train), queries, choices, say)
    sides = dict(zip(SIDES, (train, queries), strict=True))
    for side, examples in sides.items():
        work.piece(side, f"{side}: labels, predictions and losses", partial(said_of, work.objective, examples))
    kind = _rows(work, sides)
    columns = _columns(work)
    maps = _maps(work)
    say("agreement with the run's truths")
    place = run.folder / NAME / "about.json"
    before = about_of(place)[0] if place.exists() else {"agreement": []}
    about = {
        "format": FORMAT,
        "schema": SCHEMA,
        "title": choices.title or str(run.config.get("study") or run.about["kind"]),
        "kind": kind,
        "task": _task(task),
        "classes": _classes(work.objective),
        "unit": task.unit,
        "picture": _picture(work),
        "maps": maps,
        "columns": columns,
        "agreement": judged.rows_of(run, before["agreement"]),
        "refit": {"kind": choices.refit, "damping": choices.damping} if choices.refit else None,
        "notes": work.notes,
    }
    files.write_json(place, about)


def _rows(work: Work, sides: Sides) -> str:
    """Put pictures, texts or features of both sides on the shelf; which they are, or "none"."""
    for kind, word in ROWS.items():
        if {f"{side} {word}" for side in sides} <= work.shelf.done():
            return _told(work, sides, kind)
    try:
        manner = rows.manner_of(sides["train"])
    except ValueError as error:
        work.notes.append(f"The rows are not shown: {error}.")
        return "none"
    for side, examples in sides.items():
        key = f"{side} {ROWS[manner.kind]}"
        work.piece(key, key, partial(rows.rows_of, examples, manner))
    return _told(work, sides, manner.kind)


def _told(work: Work, sides: Sides, kind: str) -> str:
    """The kind; what a person should know of the rows is noted, also where another start put them on the shelf."""
    done = work.shelf.done()
    for side, examples in sides.items():
        key = f"{side} {ROWS[kind]}"
        if key not in done:
            continue
        kept = work.shelf.get(key)
        note, blank = str(kept["note"]), kept["blank"]
        if note and note not in work.notes:
            work.notes.append(note)
        if len(blank):
            some = ", ".join(str(one) for one in examples.ids[blank[:5]].tolist())
            more = ", ..." if len(blank) > 5 else ""
            work.notes.append(f"{len(blank)} rows of {side} cannot be shown and are left blank: {some}{more}.")
    return kind


def _columns(work: Work) -> list[dict[str, str]]:
    if not work.piece("columns", "self-influence and neighbours", partial(columns_of, work)):
        return []
    about = json.loads(str(work.shelf.get("columns")["about"]))
    work.notes += about["notes"]
    columns: list[dict[str, str]] = about["columns"]
    return columns


def _maps(work: Work) -> list[dict[str, str]]:
    found = []
    layers = work.choices.layers
    if layers is None:
        layers = () if work.hidden is None else (work.hidden,)
    for layer in layers:
        for kind in places.KINDS:
            key = f"map {kind} {layer}"
            words = f"{kind} of {layer} for {len(work.objective.train):,} training examples"
            if work.piece(key, words, partial(_map, work, kind, layer)):
                note = str(work.shelf.get(key)["note"])
                found.append({"name": f"{kind} {layer}", "kind": kind, "layer": layer, "note": note})
    return found


def _map(work: Work, kind: str, layer: str) -> Arrays:
    return places.map_of(kind, work.place(layer), work.choices.seed)


def _picture(work: Work) -> dict[str, int] | None:
    """The form of the pictures, if there are any."""
    if "train pictures" not in work.shelf.done():
        return None
    _, height, width, *more = work.shelf.get("train pictures")["pictures"].shape
    return {"height": height, "width": width, "channels": 3 if more else 1}


def _task(task: AbstractTask) -> str:
    if isinstance(task, Classification):
        return "classification"
    return "regression" if isinstance(task, Regression) else "other"


def _classes(objective: Objective) -> list[str] | None:
    """The names of all classes that the model knows; a number where the data name none."""
    named = [str(name) for name in objective.train.classes]
    if not isinstance(objective.task, Classification):
        return named or None
    with torch.no_grad():
        width = objective.task.predict(objective.theta, objective.train.take(slice(0, 1))).shape[1]
    return named[:width] + [str(number) for number in range(len(named), width)]

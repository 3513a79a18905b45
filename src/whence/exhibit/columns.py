"""What is known of each example: what the model says of it, and of training examples what speaks for a wrong label."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from whence.examples import Examples
from whence.exhibit import neighbours
from whence.exhibit.work import Arrays, Say, Work
from whence.gradients import functional
from whence.gradients.labels import labels_of
from whence.objective import Objective
from whence.tasks import Classification, Regression

Described = tuple[Arrays, list[dict[str, str]]]
"""Columns, and what they are."""
MANY = 20_000
"""Training examples whose neighbours take a while to find."""


def said_of(objective: Objective, examples: Examples) -> Arrays:
    """id, label, prediction, loss, and where there are classes the probability of the predicted one (confidence)."""
    known = labels_of(objective, examples)
    found: Arrays = {"id": np.asarray(known.ids), "loss": np.asarray(known.loss, dtype=np.float32)}
    for name, values in (("label", known.label), ("prediction", known.prediction)):
        array = np.asarray(values)
        real = array.dtype.kind == "f" or isinstance(objective.task, Regression)
        found[name] = array.astype(np.float64 if real else np.int64)
    if isinstance(objective.task, Classification):
        output = functional.outputs(objective.task, objective.theta, examples)
        found["confidence"] = output.double().softmax(1).amax(1).cpu().numpy().astype(np.float32)
    return found


def columns_of(work: Work) -> Arrays:
    """Numbers of the training examples by name, and as ``about`` what they are and what is not there, in JSON.

    One that cannot be worked out (at an indefinite Hessian, say) leaves the other.
    """
    found: Arrays = {}
    described: list[dict[str, str]] = []
    notes: list[str] = []
    for title, part in (("self-influence", _self_influence), ("neighbours", _neighbours)):
        try:
            arrays, words = part(work)
        except ValueError as error:
            notes.append(f"There is no column of {title}: {str(error).rstrip('.')}.")
            continue
        found |= arrays
        described += words
    return {**found, "about": np.array(json.dumps({"columns": described, "notes": notes}))}


def _self_influence(work: Work) -> Described:
    if work.choices.self_influence is None:
        return {}, []
    values = work.choices.self_influence()
    damping = values.attrs["damping"]
    note = f"{values.attrs['method']}: {values.attrs['quantity']} of the example itself without it"
    note += f", damping {damping:g}" if damping is not None else ""
    column = values.sel(train=work.objective.train.ids).values.astype(np.float32)
    words = _words("self_influence", "self-influence", values.attrs["unit"], note)
    return {"self_influence": column}, [words]


def _neighbours(work: Work) -> Described:
    if not isinstance(work.objective.task, Classification) or work.hidden is None:
        return {}, []
    label = np.asarray(work.shelf.get("train")["label"])
    near = neighbours.nearest(work.place(work.hidden).train, tell=_teller(work.say))
    share, most = neighbours.disagreement(near, label)
    words = f"the {near.shape[1]} nearest training examples by cosine similarity in {work.hidden}"
    about = [
        _words("disagreement", "disagreement with neighbours", "share", f"Share of {words} that carry another label"),
        _words("neighbours_label", "label of the neighbours", "class", f"Most frequent label of {words}"),
    ]
    return {"disagreement": share, "neighbours_label": most}, about


def _words(name: str, title: str, unit: str, note: str) -> dict[str, str]:
    return {"name": name, "title": title, "unit": unit, "note": note}


def _teller(say: Say) -> Callable[[int, int], None]:
    """Says how far the search is, in tenths, where it takes a while."""
    said = 0

    def tell(done: int, of: int) -> None:
        nonlocal said
        if of > MANY and 10 * done // of > said:
            said = 10 * done // of
            say(f"neighbours of {done:,} of {of:,}")

    return tell

"""A made-up run of any size, written by numpy alone: scores, refits, and all that a page shows beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from whence import files, results
from whence.execution import RunFolder

CLASSES, REMOVED, SIDE = 10, 200, 28
Array = npt.NDArray[Any]


def made_up(folder: Path, train: int, queries: int, seed: int = 0) -> Path:
    """A run of ``train`` training examples in ten classes, some with another label, and scores for ``queries``."""
    random = np.random.default_rng(seed)
    label, asked = random.integers(0, CLASSES, train), random.integers(0, CLASSES, queries)
    odd, wrong = random.random(train) < 0.03, random.random(queries) < 0.2
    said = np.where(odd, (label + 1) % CLASSES, label), np.where(wrong, (asked + 3) % CLASSES, asked)
    loss = [np.where(one, random.gamma(4, 1, len(one)), random.gamma(0.3, 0.1, len(one))) for one in (odd, wrong)]
    centre = random.normal(size=(CLASSES, 2)) * 8
    place = [centre[classes] + random.normal(size=(len(classes), 2)) for classes in (label, asked)]
    ids = random.permutation(2 * train)[:train], np.arange(queries)
    sides = [results.Labels(*one) for one in zip(ids, (label, asked), said, loss, strict=True)]
    scores = np.empty((queries, train))
    for row in range(queries):
        near = np.exp(-((place[0] - place[1][row]) ** 2).sum(1) / 4)
        scores[row] = near * np.where(label == asked[row], 1, -1) * 0.03 * random.random(train)
        scores[row] += random.normal(size=train) * 1e-4
    removed = np.sort(random.choice(train, REMOVED, replace=False))
    effect = (scores[:, removed] * random.normal(1, 0.1, (queries, REMOVED))).T[:, :, None]
    member = np.zeros((REMOVED, train), dtype=bool)
    member[np.arange(REMOVED), removed] = True
    with RunFolder.open(folder, {"program": "made:up"}, kind="attribute") as run:
        train_side, query_side = sides
        run.save("influence", results.scores(scores, query_side, train_side, _attrs()))
        done = {"converged": (("removed", "seed"), np.ones((REMOVED, 1), dtype=bool))}
        both = (query_side, train_side)
        run.save("truth-proximal", results.truth(effect, member, ids[0][removed], both, _attrs(truth=True), done))
        shelf = run.shelf("exhibit")
        for at, name in enumerate(("train", "queries")):
            classes = (label, asked)[at]
            confidence = random.uniform(0.4, 1, len(classes)).astype("f4")
            known = {"id": ids[at], "label": classes, "prediction": said[at], "loss": loss[at].astype("f4")}
            shelf.put(name, {**known, "confidence": confidence})
            shelf.put(f"{name} pictures", {"pictures": _pictures(classes, random)})
        signs = {"self_influence": loss[0] * 0.01, "disagreement": np.where(odd, 0.8, 0.1) * random.random(train)}
        columns = {name: values.astype("f4") for name, values in signs.items()}
        shelf.put("columns", {**columns, "neighbours_label": said[0]})
        shelf.put("map pca made-up", {"train": place[0].astype("f4"), "queries": place[1].astype("f4")})
    files.write_json(folder / "exhibit" / "about.json", _about(train))
    return folder


def _attrs(truth: bool = False) -> dict[str, Any]:
    common = {"quantity": "change in loss", "unit": "nats", "sign": results.SIGN, "damping": 0.01, "objective": "mean"}
    common |= {"task": {"name": "classification"}, "checkpoint": "made-up", "precision": "float64"}
    common |= {"version": "0.1.0", "schema": results.SCHEMA}
    if truth:
        return {**common, "kind": "proximal"}
    solver = results.solver_report("dense Cholesky", True, 1e-13, 1, 0.01, 90.0)
    return {**common, "method": "influence", "solver": solver, "seed": None, "notes": {}}


def _pictures(classes: Array, random: np.random.Generator) -> Array:
    """A handwritten digit of the right class for every example, enlarged to 28 x 28."""
    digits = load_digits()
    of = [np.flatnonzero(digits.target == one) for one in range(CLASSES)]
    chosen = np.array([of[one][random.integers(len(of[one]))] for one in classes])
    small = np.minimum(digits.images * 16, 255).astype(np.uint8)
    large = np.kron(small, np.ones((1, 4, 4), dtype=np.uint8))[:, 2 : 2 + SIDE, 2 : 2 + SIDE]
    return np.ascontiguousarray(large[chosen])


def _about(train: int) -> dict[str, Any]:
    columns = {"self_influence": "nats", "disagreement": "share", "neighbours_label": "class"}
    return {
        "format": "whence-exhibit",
        "schema": 1,
        "title": f"Made-up digits, {train:,} training examples",
        "kind": "image",
        "task": "classification",
        "classes": [str(one) for one in range(CLASSES)],
        "unit": "nats",
        "picture": {"height": SIDE, "width": SIDE, "channels": 1},
        "maps": [{"name": "pca made-up", "kind": "pca", "layer": "made-up", "note": "made up"}],
        "columns": [{"name": name, "title": name, "unit": unit, "note": ""} for name, unit in columns.items()],
        "agreement": [],
        "notes": [],
        "refit": None,
    }

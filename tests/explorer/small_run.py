"""Small made-up runs, written with numpy alone: scores, refits and an exhibit, each of which a test may spoil."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from whence import files, results
from whence.execution import RunFolder

HOSTILE = ["</script><img src=x onerror=alert(1)>", "=cmd()", "<!--<script>{{token}}"]


@dataclass
class Made:
    """A made-up run as it was meant: what its page must say can be worked out from it."""

    folder: Path
    kind: str = "image"
    train: int = 300
    queries: int = 5
    classes: list[str] | None = field(default_factory=lambda: [*HOSTILE])
    words: bool = False
    """Whether ids are words, hostile ones among them."""
    exhibit: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        rng = self.rng = np.random.default_rng(self.seed)
        count = len(self.classes or ["", ""])
        self.train_ids: Any = rng.permutation(1000)[: self.train]
        self.query_ids: Any = np.arange(self.queries) + 5000
        if self.words:
            self.train_ids = np.array([f"{HOSTILE[at % 3]} {at}" for at in range(self.train)], dtype=str)
            self.query_ids = np.array([f"{HOSTILE[at % 3]} q{at}" for at in range(self.queries)], dtype=str)
        self.label, self.query_label = rng.integers(0, count, self.train), rng.integers(0, count, self.queries)
        self.prediction, self.query_prediction = self.label.copy(), (self.query_label + 1) % count
        self.loss, self.query_loss = rng.gamma(1.0, 1.0, self.train), rng.gamma(1.0, 1.0, self.queries)
        self.self_influence = rng.gamma(1.0, 1.0, self.train).astype("f4")
        self.pictures = rng.integers(0, 256, (self.train, 6, 5), dtype=np.uint8)
        self.places = rng.normal(size=(self.train, 2)).astype("f4")
        self.query_places = rng.normal(size=(self.queries, 2)).astype("f4")
        self.scores = rng.normal(size=(self.queries, self.train))

    @property
    def query_labels(self) -> results.Labels:
        return results.Labels(self.query_ids, self.query_label, self.query_prediction, self.query_loss)

    @property
    def train_labels(self) -> results.Labels:
        return results.Labels(self.train_ids, self.label, self.prediction, self.loss)

    def array(self, values: Any = None, **attrs: Any) -> xr.DataArray:
        """Scores with these values and attributes."""
        values = self.scores if values is None else values
        return results.scores(values, self.query_labels, self.train_labels, attributes(**attrs))

    def truth(self, removals: list[list[int]], effect: Any = None, **attrs: Any) -> xr.Dataset:
        """Refits without the training examples at these positions, with two seeds."""
        member = np.zeros((len(removals), self.train), dtype=bool)
        for row, positions in enumerate(removals):
            member[row, positions] = True
        names = np.array([f"r{row}" for row in range(len(removals))])
        values = self.rng.normal(size=(len(removals), self.queries, 2)) if effect is None else effect
        given = {key: value for key, value in attributes().items() if key not in ("method", "solver", "notes", "seed")}
        given |= {"kind": "proximal"} | attrs
        return results.truth(values, member, names, (self.query_labels, self.train_labels), given)

    def write(self) -> Path:
        """The run folder, with scores ``influence``."""
        with self.opened() as run:
            run.save("influence", self.array())
            if self.exhibit:
                self._exhibit(run)
        return self.folder

    def opened(self) -> RunFolder:
        return RunFolder.open(self.folder, {"program": "made:up"}, kind="attribute")

    def _exhibit(self, run: RunFolder) -> None:
        shelf = run.shelf("exhibit")
        train = {"id": self.train_ids, "label": self.label, "prediction": self.prediction}
        queries = {"id": self.query_ids, "label": self.query_label, "prediction": self.query_prediction}
        shelf.put("train", {**train, "loss": self.loss.astype("f4"), "confidence": np.full(self.train, 0.5, "f4")})
        more = {"loss": self.query_loss.astype("f4"), "confidence": np.full(self.queries, 0.5, "f4")}
        shelf.put("queries", {**queries, **more})
        shelf.put("columns", {"self_influence": self.self_influence, "disagreement": self.loss.astype("f4") % 1})
        shelf.put("map pca h1", {"train": self.places, "queries": self.query_places})
        for side, count in (("train", self.train), ("queries", self.queries)):
            self._rows(shelf, side, count)
        files.write_json(self.folder / "exhibit" / "about.json", self.about)

    def _rows(self, shelf: Any, side: str, count: int) -> None:
        if self.kind == "image":
            shelf.put(f"{side} pictures", {"pictures": np.resize(self.pictures, (count, 6, 5))})
        elif self.kind == "text":
            texts = [f"{HOSTILE[at % 3]} text {at}".encode() for at in range(count)]
            ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
            shelf.put(f"{side} texts", {"utf8": np.frombuffer(b"".join(texts), np.uint8), "ends": ends})
        elif self.kind == "features":
            values = np.arange(count * 2, dtype="f4").reshape(count, 2)
            values[0, 1] = np.nan
            shelf.put(f"{side} features", {"values": values, "names": np.array(["length", HOSTILE[0]])})

    @property
    def about(self) -> dict[str, Any]:
        columns = [
            {"name": name, "title": name, "unit": "nats", "note": ""} for name in ("self_influence", "disagreement")
        ]
        return {
            "format": "whence-exhibit",
            "schema": 1,
            "title": HOSTILE[0],
            "kind": self.kind,
            "task": "classification",
            "classes": self.classes,
            "unit": "nats",
            "picture": {"height": 6, "width": 5, "channels": 1} if self.kind == "image" else None,
            "maps": [{"name": "pca h1", "kind": "pca", "layer": "h1", "note": "made up"}],
            "columns": columns,
            "agreement": [],
            "refit": {"kind": "program", "damping": 0.1},
            "notes": [],
        }


def attributes(**more: Any) -> dict[str, Any]:
    """Attributes of scores by influence, some of them changed."""
    return {
        "method": "influence",
        "quantity": "change in loss",
        "unit": "nats",
        "sign": results.SIGN,
        "damping": 0.1,
        "solver": results.solver_report("dense Cholesky", True, 1e-14, 1, 0.1, 10.0),
        "task": {"name": "classification"},
        "objective": "mean",
        "checkpoint": "made-up",
        "precision": "float64",
        "seed": None,
        "version": "0",
        "schema": 1,
        "notes": {},
        **more,
    }


def unpacked(value: Any) -> np.ndarray[Any, Any]:
    """The numbers that a packed answer holds."""
    ((kind, text),) = value.items()
    return np.frombuffer(base64.b64decode(text), {"f32": "<f4", "i32": "<i4"}[kind])

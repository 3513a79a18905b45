"""One run folder opened for reading: its exhibit, its results, and what is wrong with them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from whence.execution.store import RunFolder
from whence.exhibit.kept import Exhibit
from whence.explorer.alignment import Places
from whence.explorer.holdings import Holdings
from whence.explorer.refused import BROKEN, Refused
from whence.explorer.scores import Scores
from whence.explorer.sides import DIMS, Side, sides
from whence.explorer.stored import Floats
from whence.explorer.truths import Truth

REFIT = "refit-"
"""How the names of refits begin that ``whence refit`` keeps."""


@dataclass(frozen=True)
class Abilities:
    """What the page can do beside showing: keep flags and sum effects, and refit; ``why_not``: why it cannot."""

    act: bool = False
    verify: bool = False
    why_not: str = "open this run with `whence explore` to do that"


class Reader:
    """A run as the page shows it. Its methods may be called from several threads."""

    def __init__(
        self,
        run: RunFolder,
        exhibit: Exhibit,
        sides: tuple[Side, Side],
        only: frozenset[str] | None = None,
        k: int = 12,
    ) -> None:
        self.run = run
        self.exhibit = exhibit
        self.train, self.queries = sides
        self.can = Abilities()
        self.k = k
        """How many examples the page lists on a side."""
        self._holdings = Holdings(run.folder / "results", self.train.ids, self.queries.ids, only)
        self._lock = threading.Lock()
        self._proof = threading.Lock()
        self._orders: dict[str, Places] = {}
        self._agreement: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
        for row in self.about.get("agreement", []):
            self._agreement.setdefault((row["scores"], row["query"]), []).append(row)
        self.beside: list[Callable[[], list[str]]] = []
        """What else knows of problems."""
        self.refresh()

    @classmethod
    def open(cls, folder: str | Path) -> Reader:
        """Raises RunError if the folder is no run; whatever else is wrong becomes one of :attr:`problems`."""
        run = RunFolder.read(folder)
        exhibit = Exhibit.read(run)
        return cls(run, exhibit, sides(run, exhibit))

    def chosen(self, queries: Sequence[int], methods: Sequence[str], k: int = 12) -> Reader:
        """The same run with these queries alone, numbered anew, and these methods; it can only be looked at."""
        return Reader(self.run, self.exhibit, (self.train, self.queries.take(queries)), frozenset(methods), k=k)

    @property
    def about(self) -> Mapping[str, Any]:
        """What the exhibit says of the run."""
        return self.exhibit.about

    @property
    def classes(self) -> list[str] | None:
        """The names of the classes, None where there are none."""
        found = self.about.get("classes")
        return [str(name) for name in found] if isinstance(found, list) else None

    @property
    def problems(self) -> list[str]:
        """Everything that cannot be shown, in sentences."""
        with self._lock:
            found = [*self.exhibit.problems, *self._holdings.problems]
        return found + [sentence for more in self.beside for sentence in more()]

    @property
    def methods(self) -> dict[str, Scores]:
        """Scores by name: those that state a change of the measurement first, then by name."""
        with self._lock:
            found = sorted(self._holdings.scores.values(), key=lambda kept: (not kept.facts.additive, kept.name))
        return {kept.name: kept for kept in found}

    @property
    def truths(self) -> dict[str, Truth]:
        """Refits by name."""
        with self._lock:
            return {name: self._holdings.truths[name] for name in sorted(self._holdings.truths)}

    def refresh(self) -> None:
        """Notices results that came or went, such as a refit made meanwhile."""
        with self._lock:
            self._holdings.refresh()

    def side(self, name: str) -> Side:
        """The training examples or the queries."""
        return self.train if name == "train" else self.queries

    @property
    def tile(self) -> tuple[int, int] | None:
        """Height and width of a picture; None where examples have none."""
        shapes = [found.shape[1:3] for side in DIMS if (found := self.exhibit.pictures(side)) is not None]
        return (max(int(shape[0]) for shape in shapes), max(int(shape[1]) for shape in shapes)) if shapes else None

    @property
    def maps(self) -> list[str]:
        """The names of the maps."""
        return [str(entry["name"]) for entry in self.about["maps"]]

    def map(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Where the training examples and the queries lie in a map: [n, 2] each."""
        found = self.exhibit.map(name)
        return {side: self.side(side).of(found[side]) for side in DIMS}

    def order(self, column: str) -> Places:
        """Training examples from the largest value of a column on; those without a value are left out."""
        if column not in self._orders:
            self._orders[column] = self.train.order(column)
        return self._orders[column]

    def agreement(self, method: str, query: int) -> list[Mapping[str, Any]]:
        """How well scores foretold the refits for a query, as the run itself worked it out: one row a sample."""
        truths, rows = self.truths, self._agreement.get((method, self.queries.ids[query].item()), [])
        return [row for row in rows if row["truth"] in truths]

    def scores_of(self, method: str, query: int) -> Floats:
        """The scores of a query [train], NaN where there is none. Raises Refused if the result is broken."""
        kept = self._proved(method)
        try:
            return kept.of(query)
        except BROKEN as error:
            raise self._withdrawn(method, error) from error

    def sums_of(self, method: str, positions: list[int]) -> Floats:
        """The summed scores of some training examples for each query. Raises Refused."""
        kept = self._proved(method)
        try:
            return kept.sums(positions)
        except Refused:
            raise
        except BROKEN as error:
            raise self._withdrawn(method, error) from error

    def comparable(self, method: Scores) -> list[Truth]:
        """Refits without single examples that the scores of a method foretell: the most alike first.

        Alike is a proximal refit at the method's damping; what a person had refitted one by one comes last.
        """
        fitting = [
            truth
            for truth in self.truths.values()
            if truth.removals is not None and method.facts.comparable(truth.facts)
        ]
        damping = method.facts.damping
        return sorted(
            fitting,
            key=lambda truth: (truth.name.startswith(REFIT), truth.facts.damping != damping, -len(truth.effect)),
        )

    def prove(self, method: str) -> None:
        """Compares large scores with their SHA-256 when they are first used. Raises Refused if they were altered."""
        # Not under the lock of the results: meanwhile other questions are answered.
        with self._proof:
            if self._holdings.unproved(method):
                try:
                    self._holdings.prove(method)
                except BROKEN as error:
                    raise self._withdrawn(method, error) from error

    def _proved(self, method: str) -> Scores:
        self.prove(method)
        with self._lock:
            if method not in self._holdings.scores:
                raise Refused(f"{method} is no longer in this run; load the page again", 410)
            return self._holdings.scores[method]

    def _withdrawn(self, method: str, error: BaseException) -> Refused:
        with self._lock:
            return self._holdings.withdraw(method, error)

"""What an exhibit is made of, and the shelf on which its pieces are put, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy.typing as npt
import xarray as xr

from whence.examples import Examples
from whence.execution.shelf import Shelf
from whence.exhibit import places
from whence.exhibit.places import Place
from whence.objective import Objective

Arrays = dict[str, npt.NDArray[Any]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Choices:
    """What an exhibit holds beyond what the model and its data say of themselves.

    ``title``: of the page; ``layers``: those that are mapped, by default the last hidden one; ``self_influence``: works
    out [train], and is called only if that is not kept yet; ``refit``: what can refit the run, at which ``damping``;
    ``seed``: of t-SNE.
    """

    title: str = ""
    layers: tuple[str, ...] | None = None
    self_influence: Callable[[], xr.DataArray] | None = None
    refit: Literal["study", "program"] | None = None
    damping: float | None = None
    seed: int = 0


@dataclass
class Work:
    """An exhibit being made: where it is put, of what, and what there is to say of it."""

    shelf: Shelf
    objective: Objective
    queries: Examples
    choices: Choices
    say: Say
    notes: list[str] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)

    @cached_property
    def hidden(self) -> str | None:
        """The last hidden layer, if the examples have a place in one."""
        return places.last_hidden_layer(self.objective.task, self.objective.train)

    def place(self, layer: str) -> Place:
        """The embeddings in a layer, worked out once."""
        if layer not in self._places:
            self._places[layer] = places.place_of(self.objective.task, layer, self.objective.train, self.queries)
        return self._places[layer]

    def piece(self, key: str, words: str, make: Callable[[], Arrays]) -> bool:
        """Put a piece on the shelf unless it is there; False, and a note, if it cannot be made of these data."""
        if key not in self.shelf.done():
            self.say(words)
            try:
                self.shelf.put(key, make())
            except ValueError as error:
                self.notes.append(f"There is no {key}: {str(error).rstrip('.')}.")
                return False
        return True

"""Where work runs is a value: a mapper applies a function to items, here, in processes or on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class AbstractMapper(ABC):
    """Applies ``fn`` to every item; results come with the item's position, in any order."""

    @property
    @abstractmethod
    def shards(self) -> int:
        """Into how many pieces work that can be cut should be cut."""

    @abstractmethod
    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Result]]:
        """Yield ``(position, fn(items[position]))`` for all positions that are not in ``done``, unordered.

        A caller resumes by naming in ``done`` the positions whose results it has kept.
        """

    def sum(self, fn: Callable[[Item], Any], items: Sequence[Item]) -> Any:
        """The sum of all results, added in the items' order, so that it does not depend on who finished first."""
        total: Any = None
        for value in self._in_order(fn, items):
            total = value if total is None else total + value
        return total

    def concat(self, fn: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results in the items' order."""
        return list(self._in_order(fn, items))

    def _in_order(self, fn: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        waiting: dict[int, Result] = {}
        following = 0
        for position, value in self.map(fn, items):
            waiting[position] = value
            while following in waiting:
                yield waiting.pop(following)
                following += 1


@dataclass(frozen=True)
class SerialMapper(AbstractMapper):
    """Plain calls in this process; ``pieces`` shards, one by default."""

    pieces: int = 1

    def __post_init__(self) -> None:
        if self.pieces < 1:
            raise ValueError(f"pieces must be at least 1, not {self.pieces}")

    @property
    def shards(self) -> int:
        return self.pieces

    def map(
        self, fn: Callable[[Item], Result], items: Sequence[Item], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Result]]:
        skip = set(done)
        for position, item in enumerate(items):
            if position not in skip:
                yield position, fn(item)

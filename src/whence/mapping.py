"""Where work runs is a value: a mapper applies a function to items, here, in processes or on a cluster."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
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
        """The sum of all results, added in the items' order, so that it does not depend on who finished first.

        Raises ValueError if there are no items: nobody knows the shape of their sum.
        """
        if len(items) == 0:
            raise ValueError("a sum over no items has no value; give at least one item")
        total: Any = None
        with contextlib.closing(self._in_order(fn, items)) as values:
            for position, value in enumerate(values):
                total = value if position == 0 else total + value
        return total

    def concat(self, fn: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results in the items' order."""
        return list(self._in_order(fn, items))

    def _in_order(self, fn: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result, None, None]:
        waiting: dict[int, Result] = {}
        following = 0
        with contextlib.closing(_relayed(self.map(fn, items))) as pairs:
            for position, value in pairs:
                waiting[position] = value
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1
        if following != len(items) or waiting:
            raise RuntimeError(
                f"{type(self).__name__}.map gave no result for position {following} of {len(items)}, or one twice; "
                "a mapper yields every position that is not in done exactly once"
            )


def _relayed(pairs: Iterator[tuple[int, Result]]) -> Generator[tuple[int, Result], None, None]:
    """Any iterator as one that can be closed; closing reaches through to a generator."""
    yield from pairs


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

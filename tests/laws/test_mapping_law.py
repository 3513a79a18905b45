"""Law: where work runs changes nothing about what it gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from whence.execution import JoblibMapper
from whence.mapping import AbstractMapper, SerialMapper

CASES = [
    pytest.param(SerialMapper(1), id="serial-1"),
    pytest.param(SerialMapper(3), id="serial-3"),
    pytest.param(JoblibMapper(2), id="joblib-2"),
]
# Magnitudes that lie far apart: floating-point addition then shows in which order it was done.
ITEMS = [1.0, 1e16, -1e16, 3.0, 1e-3, 1e8, -7.0, 1e16, 2.0, -1e16]


class Backwards(AbstractMapper):
    """The last item finishes first."""

    @property
    def shards(self) -> int:
        return 1

    def map(
        self, fn: Callable[[Any], Any], items: Sequence[Any], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Any]]:
        return ((p, fn(items[p])) for p in reversed(range(len(items))) if p not in done)


class Forgetful(AbstractMapper):
    """Leaves out the positions ``missing`` and yields those in ``again`` twice; says whether it was closed."""

    def __init__(self, missing: Collection[int] = (), again: Collection[int] = ()) -> None:
        self.missing, self.again, self.closed = missing, again, False

    @property
    def shards(self) -> int:
        return 1

    def map(
        self, fn: Callable[[Any], Any], items: Sequence[Any], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Any]]:
        try:
            for position, item in enumerate(items):
                if position not in self.missing:
                    yield position, fn(item)
                if position in self.again:
                    yield position, fn(item)
        finally:
            self.closed = True


class Lists(AbstractMapper):
    """Its iterator is no generator and cannot be closed."""

    @property
    def shards(self) -> int:
        return 1

    def map(
        self, fn: Callable[[Any], Any], items: Sequence[Any], done: Collection[int] = ()
    ) -> Iterator[tuple[int, Any]]:
        return iter([(position, fn(item)) for position, item in enumerate(items) if position not in done])


def vector(item: float) -> np.ndarray:
    return np.array([item, item / 3, 1.0])


def twice(item: float) -> float:
    return 2 * item


def in_order() -> np.ndarray:
    total = vector(ITEMS[0])
    for item in ITEMS[1:]:
        total = total + vector(item)
    return total


def test_the_items_tell_orders_apart() -> None:
    totals = {sum(order) for order in itertools.islice(itertools.permutations(ITEMS), 2000)}
    assert len(totals) > 1


@pytest.mark.parametrize(
    "mapper", [*CASES, pytest.param(Backwards(), id="backwards"), pytest.param(Lists(), id="lists")]
)
class TestEveryMapper:
    def test_sum_is_added_in_the_items_order(self, mapper: AbstractMapper) -> None:
        np.testing.assert_array_equal(mapper.sum(vector, ITEMS), in_order())

    def test_concat_keeps_the_items_order(self, mapper: AbstractMapper) -> None:
        assert mapper.concat(twice, ITEMS) == [2 * item for item in ITEMS]

    def test_every_position_comes_once(self, mapper: AbstractMapper) -> None:
        found = list(mapper.map(twice, ITEMS))
        assert sorted(found) == [(position, 2 * item) for position, item in enumerate(ITEMS)]

    def test_done_positions_are_left_out(self, mapper: AbstractMapper) -> None:
        found = dict(mapper.map(twice, ITEMS, done={0, 4, 9}))
        assert found == {p: 2 * item for p, item in enumerate(ITEMS) if p not in {0, 4, 9}}

    def test_nothing_left_to_do(self, mapper: AbstractMapper) -> None:
        assert list(mapper.map(twice, ITEMS, done=range(len(ITEMS)))) == []
        assert mapper.concat(twice, []) == []

    def test_shards_is_at_least_one(self, mapper: AbstractMapper) -> None:
        assert mapper.shards >= 1

    def test_a_sum_over_nothing_has_no_value(self, mapper: AbstractMapper) -> None:
        with pytest.raises(ValueError, match="give at least one item"):
            mapper.sum(vector, [])


@pytest.mark.parametrize("broken", [Forgetful(missing={0}), Forgetful(missing={9}), Forgetful(again={4})])
@pytest.mark.parametrize("verb", ["sum", "concat"])
def test_a_mapper_that_breaks_its_promise_is_an_error_and_not_a_wrong_number(broken: Forgetful, verb: str) -> None:
    with pytest.raises(RuntimeError, match=r"Forgetful\.map gave no result for position \d+ of 10.*exactly once"):
        getattr(broken, verb)(twice, ITEMS)


def test_the_iterator_is_closed_at_once_when_adding_fails() -> None:
    mapper = Forgetful()
    with pytest.raises(TypeError) as caught:  # the traceback keeps every frame alive: only closing ends the iterator
        mapper.sum(lambda item: item if item < 5 else "five", ITEMS)
    assert mapper.closed
    assert caught.value.__traceback__ is not None

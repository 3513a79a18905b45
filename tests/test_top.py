"""``scores.whence.top``: the strongest first, ties in their order, and no place for what is no number."""

from __future__ import annotations

import numpy as np
import pytest

import whence.accessor  # noqa: F401  registers the accessor
from whence import results
from whence.results import Labels

ATTRS = dict.fromkeys(results.REQUIRED, "x") | {"solver": results.solver_report()}


def top(row: list[float], k: int, side: str) -> list[int]:
    train = Labels(np.arange(len(row)))
    scores = results.scores(np.array([row]), Labels(np.array(["q"])), train, ATTRS)
    table = scores.whence.top(k, side=side)
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    return table["train"].tolist()


@pytest.mark.parametrize(
    ("row", "k", "helpful", "harmful"),
    [
        ([1, -1, 2, -2], 1, [2], [3]),
        ([1, -1, 2, -2], 9, [2, 0], [3, 1]),
        ([np.nan, 1, np.nan, -1, np.nan], 1, [1], [3]),
        ([np.nan, np.nan], 3, [], []),
        ([0, -0.0], 3, [], []),
        ([1, 1, 1, -1, -1, -1], 2, [0, 1], [3, 4]),
        ([np.inf, 5, -np.inf, -5], 1, [0], [2]),
    ],
)
def test_top(row: list[float], k: int, helpful: list[int], harmful: list[int]) -> None:
    assert top(row, k, "helpful") == helpful
    assert top(row, k, "harmful") == harmful

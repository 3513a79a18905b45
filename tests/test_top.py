"""``scores.whence.top``: the strongest first, ties in their order, and no place for what is no number."""

from __future__ import annotations

import numpy as np
import pytest

import whence.accessor  # noqa: F401  registers the accessor
from whence import results
from whence.results import Labels

ATTRS = dict.fromkeys(results.REQUIRED, "x") | {"solver": results.solver_report(), "sign": results.SIGN}


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


def test_what_says_nothing_of_help_is_ranked_by_value_under_other_names() -> None:
    values = np.array([[-3.0, -1.0, np.nan, -2.0]])
    attrs = ATTRS | {"quantity": "minus Euclidean distance", "sign": results.NEAR}
    scores = results.scores(values, Labels(np.array(["q"])), Labels(np.arange(4)), attrs)
    table = scores.whence.top(2)
    assert table["side"].tolist() == ["largest", "largest", "smallest", "smallest"]
    assert table["train"].tolist() == [1, 3, 0, 3]
    assert scores.whence.top(1, side="helpful")["train"].tolist() == [1]

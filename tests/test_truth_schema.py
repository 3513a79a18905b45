"""The schema of truth: flags are bools, plans have names, and nothing that breaks it is built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from whence import results
from whence.comparison import aligned
from whence.results import Labels, ResultError

ATTRS = dict.fromkeys([*results.TRUTH_REQUIRED, *results.REQUIRED], "x") | {"solver": results.solver_report()}
DIMS = ("sample", "query", "removed")


def build(coords: Any = None, member: Any = None, **variables: Any) -> xr.Dataset:
    ids, queries = np.array(["a", "b", "c"]), np.array([5, 6])
    member = np.eye(3, dtype=bool) if member is None else member
    effect = np.arange(6.0).reshape(3, 2, 1)
    return results.truth(effect, member, ids, (Labels(queries), Labels(ids)), ATTRS, variables, coords=coords)


def test_further_coordinates_are_carried() -> None:
    chosen = np.ones((2, 2, 3), dtype=bool)
    made = build({"sample": ["most", "random"], "layer": "fc"}, chosen=(DIMS, chosen))
    assert made["sample"].values.tolist() == ["most", "random"]
    assert made["layer"].item() == "fc"


def test_further_coordinates_do_not_replace_the_ids() -> None:
    assert build({"removed": ["x", "y", "z"]})["removed"].values.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("coords", "variables", "message"),
    [
        ({}, {"member": np.eye(3)}, r"member must be bool, not float64; convert it with \.astype\(bool\)"),
        ({"sample": ["s"]}, {"chosen": (DIMS, np.ones((1, 2, 3)))}, "chosen must be bool"),
        ({}, {"converged": ("removed", np.ones(3))}, "converged must be bool"),
        ({}, {"converged": ("seed", np.ones(1, dtype=bool))}, "it needs 'removed'"),
        ({}, {"chosen": (DIMS, np.ones((1, 2, 3), dtype=bool))}, r"assign_coords\(sample="),
        ({"sample": ["s"]}, {"chosen": (DIMS[::-1], np.ones((3, 2, 1), dtype=bool))}, "transpose it"),
        ({"sample": ["s", "s"]}, {"chosen": (DIMS, np.ones((2, 2, 3), dtype=bool))}, "sample ids must be unique"),
    ],
)
def test_what_breaks_the_schema_is_refused(coords: Any, variables: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        build(coords, **variables)


def test_a_solver_report_that_is_none_is_refused() -> None:
    labels = Labels(np.array([1, 2]))
    with pytest.raises(ResultError, match="certificate"):
        results.scores(np.ones((2, 2)), labels, labels, ATTRS | {"solver": None})


def test_a_score_that_no_removal_touches_may_be_nan() -> None:
    values = np.array([[1.0, 2.0, np.nan], [4.0, 5.0, 6.0]])
    scores = results.scores(values, Labels(np.array([5, 6])), Labels(np.array(["a", "b", "c"])), ATTRS)
    together = aligned(scores, build(member=np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)))
    assert together.predicted.tolist() == [[3.0, 2.0, 1.0], [9.0, 5.0, 4.0]]
    assert together.members.tolist() == [2, 1, 1]

"""Scores of two queries over thirty labelled training examples, and a truth for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from whence import results

ATTRS: dict[str, Any] = {
    "method": "influence",
    "kind": "from_scratch",
    "quantity": "change in loss",
    "unit": "nat",
    "sign": results.SIGN,
    "damping": 0.01,
    "solver": results.solver_report(),
    "task": "classification",
    "objective": "mean",
    "checkpoint": "0",
    "precision": "float64",
    "seed": 0,
    "version": "0",
    "schema": results.SCHEMA,
}
VALUES = np.random.default_rng(0).normal(size=(2, 30)) * 1e-3


@pytest.fixture
def scores() -> xr.DataArray:
    query = results.Labels(np.array(["q0", "q1"]), np.array([1, 2]), np.array([1, 0]))
    train = results.Labels(np.array([f"t{i}" for i in range(30)]), np.arange(30) % 3)
    return results.scores(VALUES, query, train, ATTRS)


@pytest.fixture
def truth(scores: xr.DataArray) -> xr.Dataset:
    """Twenty removals, ten in each of two samples; the refit of the first did not converge."""
    chosen = np.zeros((2, 2, 20), dtype=bool)
    chosen[0, :, :10] = chosen[1, :, 10:] = True
    variables = {
        "chosen": (("sample", "query", "removed"), chosen),
        "converged": (("removed", "seed"), np.arange(20)[:, None] > 0),
    }
    labels = results.Labels(scores["query"].values), results.Labels(scores["train"].values)
    effect, member = 2 * VALUES.T[:20, :, None], np.eye(20, 30, dtype=bool)
    names = {"sample": ["most influential", "random"]}
    return results.truth(effect, member, scores["train"].values[:20], labels, ATTRS, variables, coords=names)

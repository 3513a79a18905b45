"""Scores and truths with made-up numbers that follow the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from whence import results

ATTRS: dict[str, Any] = {
    "method": "influence",
    "kind": "proximal",
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


@pytest.fixture
def make_scores() -> Callable[..., xr.DataArray]:
    def make(values: Any, **attrs: Any) -> xr.DataArray:
        values = np.asarray(values)
        query, train = (results.Labels(np.arange(size)) for size in values.shape)
        return results.scores(values, query, train, ATTRS | attrs)

    return make


@pytest.fixture
def make_truth() -> Callable[..., xr.Dataset]:
    def make(effect: Any, member: Any = None, variables: Any = None, coords: Any = None, **attrs: Any) -> xr.Dataset:
        """``effect`` [removed, query] or [removed, query, seed]; leave-one-out unless ``member`` says otherwise."""
        effect = np.asarray(effect)
        effect = effect if effect.ndim == 3 else effect[:, :, None]
        member = np.eye(len(effect), dtype=bool) if member is None else member
        labels = results.Labels(np.arange(effect.shape[1])), results.Labels(np.arange(member.shape[1]))
        return results.truth(effect, member, np.arange(len(effect)), labels, ATTRS | attrs, variables, coords=coords)

    return make

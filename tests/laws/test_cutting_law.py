"""Law: into how many shards, processes or batches the work is cut changes no score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import cases
from problems import problem
from whence.attribution import influence
from whence.curvature import gauss_newton
from whence.gradients import rows
from whence.mapping import AbstractMapper


def assert_close(found: xr.DataArray, expected: xr.DataArray, tolerance: float) -> None:
    np.testing.assert_array_equal(found["train"], expected["train"])
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(abs(expected).max()))


@pytest.mark.parametrize("mapper", cases.MAPPERS[1:])
@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_one_shard_is_many_shards_is_two_processes(method: cases.Method, mapper: AbstractMapper) -> None:
    p = problem("mlp")
    whole, cut = method.fit(p), method.fit(p, mapper=mapper)
    assert_close(cut.attribute(p.queries), whole.attribute(p.queries), 1e-7)
    assert_close(cut.self_influence(), whole.self_influence(), 1e-7)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_many_shards_in_float32(method: cases.Method) -> None:
    p = problem("shared", dtype=torch.float32)
    attributor = method.float32 or method.attributor
    whole = attributor.fit(p.task, p.train).attribute(p.queries)
    cut = attributor.fit(p.task, p.train, mapper=cases.wh.SerialMapper(5)).attribute(p.queries)
    assert_close(cut, whole, 1e-5)


@pytest.mark.parametrize(("method", "name"), cases.on("shared", "bilinear"))
def test_the_batch_size_changes_nothing(method: cases.Method, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(name)
    explainer = method.fit(p)
    assert explainer.objective.batch_size > len(p.train)
    monkeypatch.setattr(gauss_newton, "ROWS_BATCH", 5)
    objective = replace(explainer.objective, batch_size=7)
    prepared = method.attributor.prepare(objective, explainer.mapper)
    cut = replace(explainer, objective=objective, prepared=prepared)
    assert_close(cut.attribute(p.queries), explainer.attribute(p.queries), 1e-7)
    assert_close(cut.self_influence(), explainer.self_influence(), 1e-7)


@pytest.mark.parametrize(("method", "name"), cases.on("shared", "bilinear"))
def test_what_is_held_at_once_changes_nothing(method: cases.Method, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(name)
    explainer = method.fit(p)
    expected, alone = explainer.attribute(p.queries), explainer.self_influence()
    monkeypatch.setattr(rows, "LARGEST", 3 * 8 * len(explainer.objective.theta))
    monkeypatch.setattr(influence, "SOLVED_BYTES", 1)
    cut = method.fit(p)
    assert_close(cut.attribute(p.queries), expected, 1e-7)
    assert_close(cut.self_influence(), alone, 1e-7)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_a_training_set_of_many_batches(method: cases.Method) -> None:
    """300 examples are more than any fixed batch of the library's; the parts must be put together in order."""
    p = problem("logistic-2", count=300)
    explainer = method.fit(p)
    cut = method.fit(p, mapper=cases.wh.SerialMapper(7))
    expected = cut.attribute(p.queries)
    assert_close(explainer.attribute(p.queries), expected, 1e-7)
    assert_close(explainer.self_influence(), cut.self_influence(), 1e-7)

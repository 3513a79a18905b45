"""Law: saved and loaded work gives the same scores, and never answers for another model, data set or option."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases
import whence as wh
from problems import problem
from whence.files import FileError

OTHER = {"damping": 0.2, "seed": 5}


@pytest.mark.parametrize(("method", "name"), cases.on("mlp", "dict"))
def test_loaded_work_gives_the_same_scores(method: cases.Method, name: str, tmp_path: Path) -> None:
    p = problem(name)
    explainer = method.fit(p)
    explainer.save(tmp_path / "kept")
    loaded = method.attributor.load(tmp_path / "kept", p.task, p.train)
    first, second = explainer.attribute(p.queries), loaded.attribute(p.queries)
    np.testing.assert_allclose(second, first, rtol=1e-8, atol=1e-10 * float(abs(first).max()))
    assert second.attrs["solver"]["lambda_max"] == first.attrs["solver"]["lambda_max"]
    np.testing.assert_allclose(loaded.self_influence(), explainer.self_influence(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_another_model_data_set_or_objective_is_refused(method: cases.Method, tmp_path: Path) -> None:
    p = problem("logistic-3")
    path = method.fit(p).save(tmp_path / "kept")
    load = method.attributor.load
    with pytest.raises(FileError, match="another checkpoint"):
        load(path, problem("logistic-3", decay=0.5).task, p.train)
    renamed = wh.as_examples(p.train, ids=[f"x{i}" for i in range(len(p.train))])
    with pytest.raises(FileError, match="another train_ids"):
        load(path, p.task, renamed)
    with pytest.raises(FileError, match="another train_ids"):
        load(path, p.task, p.train[::-1])
    twin = wh.Classification(p.task.module, weight_decay=0.05, objective="sum")
    with pytest.raises(FileError, match="another objective"):
        load(path, twin, p.train)
    heavier = wh.Classification(p.task.module, weight_decay=0.06)
    with pytest.raises(FileError, match="another task"):
        load(path, heavier, p.train)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_other_options_are_refused(method: cases.Method, tmp_path: Path) -> None:
    p = problem("logistic-3")
    path = method.fit(p).save(tmp_path / "kept")
    changed = [
        replace(method.attributor, **{f.name: OTHER[f.name]}) for f in fields(method.attributor) if f.name in OTHER
    ]
    if method.solves:
        changed.append(replace(method.attributor, solver=wh.Dense(largest=123)))
    for attributor in changed:
        with pytest.raises(FileError, match="another options"):
            attributor.load(path, p.task, p.train)
    stranger: Any = wh.Random() if method.attributor.name != "random" else wh.Loss()
    with pytest.raises(FileError, match="another method"):
        stranger.load(path, p.task, p.train)


@pytest.mark.parametrize("method", cases.ATTRIBUTORS)
def test_damage_is_found(method: cases.Method, tmp_path: Path) -> None:
    p = problem("logistic-3")
    path = method.fit(p).save(tmp_path / "kept")
    tensors, header = path / "tensors.safetensors", path / "explainer.json"
    whole, said = tensors.read_bytes(), header.read_text()

    def refused(what: str) -> None:
        with pytest.raises(FileError, match=what):
            method.attributor.load(path, p.task, p.train)

    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused("truncated or altered")
    tensors.write_bytes(whole[: len(whole) // 2])
    refused("truncated or altered")
    tensors.unlink()
    refused("missing")
    tensors.write_bytes(whole)
    header.write_text(said[: len(said) // 2])
    refused("truncated or not JSON")
    header.write_text('{"format": "another"}')
    refused("holds no prepared method")
    header.write_text('{"format": "whence-explainer"}')
    refused("holds no prepared method")
    header.unlink()
    refused("missing")
    header.write_text(said)
    method.attributor.load(path, p.task, p.train)

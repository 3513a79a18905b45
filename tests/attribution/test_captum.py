"""Influence by Arnoldi's iteration and similarity in a layer, equal to captum's on captum's own conventions.

Captum is in requirements-oracle.txt; its TracInCP has its test in test_tracin.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import whence as wh
from problems import Problem, problem

RANK, DAMPING = 4, 5.0


@pytest.fixture(scope="module")
def peer() -> Any:
    return pytest.importorskip("captum.influence", reason="captum is not installed: see requirements-oracle.txt")


def dataset(examples: wh.Examples) -> torch.utils.data.TensorDataset:
    batch = examples.take(slice(None))
    assert isinstance(batch.inputs, Tensor)
    return torch.utils.data.TensorDataset(batch.inputs, batch.targets)


def fresh() -> tuple[Problem, nn.Module]:
    """The problem, and a module of its own for captum at the problem's parameters."""
    p, module = problem("mlp"), networks.mlp().double()
    module.load_state_dict(p.task.module.state_dict())
    return p, module


@pytest.mark.parametrize("steps", [20, 35])
def test_arnoldi_influence_equals_captums(steps: int, peer: Any) -> None:
    """Hessian of the sum of losses, no penalty, no complement; captum leaves its last step out of the space."""
    from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction

    p, module = fresh()
    theirs = ArnoldiInfluenceFunction(
        module,
        dataset(p.train),
        "checkpoint",
        lambda model, path: 1.0,
        loss_fn=nn.CrossEntropyLoss(reduction="none"),
        batch_size=16,
        projection_dim=RANK,
        arnoldi_dim=steps,
        arnoldi_tol=1e-9,
        hessian_reg=DAMPING,
    ).influence(dataset(p.queries).tensors)
    task = wh.Classification(p.task.module, objective="sum")
    method = wh.InfluenceFunction(wh.Arnoldi(RANK, steps, complement=False), DAMPING)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        ours = method.fit(task, p.train).attribute(p.queries).values
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_similarity_equals_captums(metric: str, peer: Any, tmp_path: Path) -> None:
    """Every training example's; captum's distances have our sign turned, and the nearest are its least.

    All layers in one call: captum 0.9.0 fails when it is asked for one.
    """
    from captum.influence._core import similarity_influence

    p, module = fresh()
    how = {"cosine": similarity_influence.cosine_similarity, "euclidean": similarity_influence.euclidean_distance}
    sign = {"cosine": 1, "euclidean": -1}[metric]
    train, queries = (dataset(examples).tensors[0].float() for examples in (p.train, p.queries))
    found = peer.SimilarityInfluence(
        module.float(),  # its cosine is written for float32
        ["0", "1", "2"],
        train,
        str(tmp_path),
        similarity_metric=how[metric],
        similarity_direction="max" if sign > 0 else "min",
        batch_size=len(train),
    ).influence(queries, top_k=len(train))
    assert set(found) == {"0", "1", "2"}
    for layer, (order, values) in found.items():
        ours = wh.Similarity(layer, metric).fit(p.task, p.train).attribute(p.queries).values  # type: ignore[arg-type]
        theirs = np.full_like(ours, np.nan)
        np.put_along_axis(theirs, order.numpy(), sign * values.numpy(), axis=1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(abs(theirs).max()))

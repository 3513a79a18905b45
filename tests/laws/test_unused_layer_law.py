"""Law: a layer that the model holds and never uses says nothing: scores are those of the model without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cases
import whence as wh
from problems import problem


class Extended(nn.Module):
    """A model with a linear layer beside it that nothing passes through."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.unused = nn.Linear(2, 3, dtype=torch.float64)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs)


METHODS = [
    *cases.where(lambda m: m.solves and not m.samples),
    *cases.BASELINES,
    *cases.LOW_RANK,
    *cases.REPRESENTER,
    *cases.RELATIVE,
    pytest.param(cases.Method(wh.DataInf(layer_damping=0.1)), id="datainf"),
]
"""Methods that draw a number a parameter are left out: they draw others; DataInf's own damping refuses the layer."""


@pytest.mark.parametrize("name", ["mlp", "conv"])
@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_the_model_without_it(method: cases.Method, name: str) -> None:
    p = problem(name)
    task = wh.Classification(Extended(p.task.module), weight_decay=0.05)
    alone = wh.Classification(p.task.module, weight_decay=0.05)
    expected, found = (method.attributor.fit(each, p.train).attribute(p.queries) for each in (alone, task))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * float(abs(expected).max()))

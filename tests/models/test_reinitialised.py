"""Parameters drawn anew: all of them, by the seed, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import networks
import whence as wh
from problems import problem
from whence.models import reinitialised


@pytest.mark.parametrize("name", ["mlp", "conv", "shared", "dict"])
def test_every_parameter_is_drawn_anew_and_the_model_stays(name: str) -> None:
    task = problem(name).task
    before, state = task.parameters(), torch.random.get_rng_state()
    twin = reinitialised(task, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(task.parameters(), before)
    assert bool((twin.parameters() != before).all())
    assert torch.equal(reinitialised(task, 1).parameters(), twin.parameters())
    assert not torch.equal(reinitialised(task, 2).parameters(), twin.parameters())
    assert type(twin) is type(task)
    assert twin.parameters().dtype == before.dtype
    assert twin.quantity == task.quantity
    assert torch.equal(twin.coefficients, task.coefficients)


def test_it_is_what_the_layers_own_initialiser_draws() -> None:
    task = wh.Classification(nn.Linear(4, 3))
    twin = reinitialised(task, 5)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        fresh = nn.Linear(4, 3)
    assert torch.equal(twin.module.weight, fresh.weight)
    assert torch.equal(twin.module.bias, fresh.bias)


def test_parameters_without_an_initialiser_keep_their_spread() -> None:
    module = networks.Bilinear()
    module.form.data = 3.0 + 2.0 * torch.randn(3, 40, 40)
    drawn = reinitialised(wh.Classification(module), 0).module.form.detach()
    assert float(drawn.mean()) == pytest.approx(3.0, abs=0.2)
    assert float(drawn.std()) == pytest.approx(2.0, rel=0.1)


def test_a_model_that_resets_to_constants_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be randomised"):
        reinitialised(wh.Classification(nn.Sequential(nn.LayerNorm(3))))

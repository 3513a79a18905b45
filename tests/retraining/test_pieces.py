"""Training in pieces equals training at once, bit for bit, and goes on where it was killed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from problems import problem
from whence.retraining.adam import Adam
from whence.retraining.jobs import MemoryShelf
from whence.retraining.pieces import key, train_in_pieces

RECIPES = [
    Adam(23, batch_size=7, learning_rate=0.02, schedule="one-cycle"),
    Adam(23, batch_size=7, learning_rate=0.02, drops=((5, 0.1), (11, 0.01))),
    Adam(9, batch_size=100, learning_rate=0.02),
]


@pytest.mark.parametrize("size", [1, 4, 23, 100])
@pytest.mark.parametrize("recipe", RECIPES)
def test_pieces_equal_the_whole(recipe: Adam, size: int) -> None:
    objective = problem("mlp", count=30).objective
    whole = recipe.train(objective, None, seed=3)
    found = train_in_pieces(recipe, objective, 3, MemoryShelf({}), size)
    assert torch.equal(found.theta, whole.theta)
    assert found.gradient_norm == whole.gradient_norm
    assert all(torch.equal(found.state[name], whole.state[name]) for name in ("first", "second", "step"))


def test_a_killed_training_goes_on_at_its_last_piece() -> None:
    objective, recipe, shelf = problem("mlp", count=30).objective, RECIPES[0], MemoryShelf({})

    def killed(text: str) -> None:
        if "step 10" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_pieces(recipe, objective, 3, shelf, 5, killed)
    said: list[str] = []
    found = train_in_pieces(recipe, objective, 3, shelf, 5, said.append)
    assert [text.split()[1] for text in said] == ["15", "20", "23"]
    assert torch.equal(found.theta, recipe.train(objective, None, seed=3).theta)
    again = train_in_pieces(recipe, objective, 3, shelf, 5, said.append)
    assert len(said) == 3
    assert torch.equal(again.theta, found.theta)
    assert set(shelf.done()) == {key(stop) for stop in (5, 10, 15, 20, 23)}


def test_a_window_has_its_own_batches_only() -> None:
    recipe = RECIPES[0]
    whole = [batch for batch, _ in zip(recipe._order(30, 5), range(23), strict=True)]
    part = [batch for batch, _ in zip(recipe.between(9, 17)._order(30, 5), range(8), strict=True)]
    assert all(np.array_equal(one, other) for one, other in zip(part, whole[9:17], strict=True))


@pytest.mark.parametrize("window", [(-1, 3), (3, 3), (0, 24)])
def test_an_impossible_window_is_refused(window: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="window"):
        RECIPES[0].between(*window)


def test_an_impossible_piece_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        train_in_pieces(RECIPES[0], problem("mlp", count=30).objective, 0, MemoryShelf({}), 0)

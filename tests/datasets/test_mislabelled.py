"""Labels changed on purpose: which, to what, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import whence as wh
from whence.datasets import digits, mislabel


class Rows:
    """A map-style dataset of pairs."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return torch.full((2,), float(row)), row % 4


@pytest.mark.parametrize("data", [digits(200)[0], wh.as_examples(Rows()), wh.as_examples(Rows())[5:35:2]])
def test_only_the_marked_labels_change(data: Any) -> None:
    found = mislabel(data, 0.2, seed=3)
    before, after = data.take(slice(None)), found.examples.take(slice(None))
    assert torch.equal(before.inputs, after.inputs)
    assert found.examples.ids.tolist() == data.ids.tolist() == found.flipped["train"].values.tolist()
    assert found.examples.classes == data.classes
    assert found.original.tolist() == before.targets.tolist()
    changed = (before.targets != after.targets).numpy()
    assert changed.tolist() == found.flipped.values.tolist()
    assert changed.sum() == round(0.2 * len(data))
    assert set(after.targets.tolist()) <= set(before.targets.tolist())
    assert after.targets.dtype == before.targets.dtype
    part = found.examples[np.arange(len(data))[::-1]]
    assert part.targets().tolist() == after.targets.tolist()[::-1]
    assert data.targets().tolist() == before.targets.tolist()
    assert found.flipped.attrs["chosen"] == f"{changed.sum()} of {len(data)} labels, drawn with seed 3"


def test_the_seed_decides_and_every_other_class_is_drawn() -> None:
    x, y = torch.zeros(3000, 1), torch.arange(3000) % 3
    first, second, third = (mislabel(wh.as_examples((x, y)), 0.5, seed) for seed in (0, 0, 1))
    assert first.flipped.equals(second.flipped)
    assert torch.equal(first.examples.targets(), second.examples.targets())
    assert not first.flipped.equals(third.flipped)
    moved = (first.examples.targets().numpy() - first.original)[first.flipped.values] % 3
    assert 0.45 < (moved == 1).mean() < 0.55


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        mislabel(digits(50)[0], share)


@pytest.mark.parametrize(
    ("targets", "words"),
    [(torch.randn(6), "are no classes"), (torch.zeros(6, dtype=torch.int64), "all examples have one class")],
)
def test_what_has_no_classes_is_refused(targets: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mislabel(wh.as_examples((torch.zeros(6, 2), targets)))

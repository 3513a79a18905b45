"""A row of the race: one method of one peer, how it was set up, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from bench.peers.question import Question

Score: TypeAlias = Callable[[int], Tensor]
"""Scores [query, train] of so many first queries; positive: the training example helps the query."""


class NotBuilt(RuntimeError):
    """A method of ours that the package does not have yet."""


@dataclass(frozen=True)
class Row:
    """``fit`` does what no query changes and returns what scores; ``kind`` groups like methods in pictures.

    ``setup``: the settings in words; ``penalty``: whether the L2 penalty reaches the method.
    """

    kind: str
    setup: str
    penalty: str
    fit: Callable[[Question], Score]

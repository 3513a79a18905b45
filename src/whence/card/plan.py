"""How much a card asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Effort: TypeAlias = Literal["quick", "standard"]


@dataclass(frozen=True)
class Plan:
    """``queries``: asked about, drawn by ``seed`` from those of the run.

    Single removals: the ``named`` most influential for each query by each method together, and ``random`` ones.
    ``subsets`` keep a share ``keep`` of the examples. Removal curves: ``sizes``, of ``curve_queries`` queries, against
    ``draws`` random sets. ``models``: with parameters drawn anew. Wrong labels: a ``share`` of them, and a model
    trained on them by ``steps`` of Adam; cleanlab's probabilities by ``folds``. ``top``: examples whose class is looked
    at.
    """

    queries: int
    named: int
    random: int
    subsets: int
    sizes: tuple[int, ...]
    curve_queries: int
    draws: int
    models: int
    steps: int
    keep: float = 0.5
    share: float = 0.1
    folds: int = 3
    top: int = 10
    seed: int = 0

    @property
    def config(self) -> dict[str, Any]:
        """The plan as it is recorded."""
        return asdict(self) | {"sizes": list(self.sizes)}


EFFORTS: dict[Effort, Plan] = {
    "quick": Plan(6, 2, 20, 16, (1, 5, 20), 3, 2, 1, steps=600, folds=2),
    "standard": Plan(20, 3, 60, 60, (1, 2, 5, 10, 20, 50), 8, 5, 2, steps=3000),
}

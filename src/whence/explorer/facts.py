"""What a result says of itself, read from a file that nobody vouches for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whence import results
from whence.explorer.packed import number, plain


@dataclass(frozen=True)
class Facts:
    """The attributes of scores or of a truth that the page shows or compares by."""

    method: str
    label: str
    kind: str
    quantity: str
    unit: str
    sign: str
    checkpoint: str
    damping: float | None
    solver: Mapping[str, Any]
    notes: Mapping[str, Any]

    @property
    def signed(self) -> bool:
        """Whether a positive score means help."""
        return self.sign == results.SIGN

    @property
    def additive(self) -> bool:
        """Whether scores state a change of the measurement, so that a sum of them foretells a joint removal."""
        return self.signed and self.quantity.startswith("change in ")

    @property
    def solved(self) -> bool:
        """Whether the method solved a linear system."""
        return bool(self.solver.get("name", "none") != "none")

    def comparable(self, truth: Facts) -> bool:
        """Whether a refit states what these scores foretell: the same quantity, unit, sign and trained model."""
        mine, theirs = ((facts.quantity, facts.unit, facts.sign, facts.checkpoint) for facts in (self, truth))
        return mine == theirs


def facts(attrs: Mapping[str, Any]) -> Facts:
    """The facts among the attributes of a result; what has the wrong type is left empty."""
    notes, solver = (_mapping(attrs.get(name)) for name in ("notes", "solver"))
    words = {name: _word(attrs.get(name)) for name in ("method", "kind", "quantity", "unit", "sign", "checkpoint")}
    label = _word(attrs.get("label")) or _word(notes.get("title")) or words["method"]
    return Facts(label=label, damping=number(attrs.get("damping")), solver=solver, notes=notes, **words)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> dict[str, Any]:
    found = plain(value)
    return found if isinstance(found, dict) else {}

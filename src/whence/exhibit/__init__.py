"""The exhibit of a run: what a page shows beside the scores, written once by the run and read without torch.

::

    exhibit/manifest.jsonl      a shelf, see whence.execution.shelf
    exhibit/about.json          written last: kind, task, classes, maps, columns, agreement with each truth, ...

Pieces by key: ``train`` and ``queries`` (id, label, prediction, confidence, loss); ``<side> pictures``,
``<side> texts`` or ``<side> features``; ``columns`` (numbers of the training examples); ``map <kind> <layer>``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.exhibit.kept import Exhibit as Exhibit
    from whence.exhibit.work import Choices as Choices
    from whence.exhibit.write import exhibit as exhibit

_WHERE = {
    "Choices": "whence.exhibit.work",
    "Exhibit": "whence.exhibit.kept",
    "exhibit": "whence.exhibit.write",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    # loaded when first used: what only reads an exhibit must not load torch
    if name not in _WHERE:
        raise AttributeError(f"module 'whence.exhibit' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)

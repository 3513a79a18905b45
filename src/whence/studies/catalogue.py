"""The one table of studies. A study is imported only when it is run, so that listing them is quick."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whence.studies.study import Study

STUDIES: dict[str, tuple[str, str]] = {
    "line": ("whence.studies.line", "a regression line: influence against refits, where both are known exactly"),
    "clusters": ("whence.studies.clusters", "two clusters and an outlier: what the leverage correction is worth"),
    "digits": (
        "whence.studies.digits",
        "a small all-convolutional network on real handwritten digits, checked by refits",
    ),
    "mnist": (
        "whence.studies.mnist.study",
        "the thesis on real MNIST: every experiment, table and figure, ours beside its numbers",
    ),
}


def find(name: str) -> Study:
    """The study of this name; raises KeyError if there is none."""
    if name not in STUDIES:
        close = difflib.get_close_matches(name, STUDIES, 1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        raise KeyError(f"there is no study {name!r}; {guess}choose one of {', '.join(STUDIES)}")
    study: Study = importlib.import_module(STUDIES[name][0]).STUDY
    return study

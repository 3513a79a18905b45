"""The model of a finished run, opened again, so that it can be refitted without some of its examples."""

from __future__ import annotations

from dataclasses import dataclass

from whence.examples import Examples
from whence.retraining.refit import AbstractRefit
from whence.task import AbstractTask


@dataclass(frozen=True)
class Reopened:
    """A trained ``task`` with its data, the ``queries`` that were asked about, and what "without examples" means."""

    task: AbstractTask
    train: Examples
    queries: Examples
    refit: AbstractRefit

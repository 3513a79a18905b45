"""Truth on random subsets: the model refitted without many examples at once, as the linear datamodeling score needs it.

    effect[subset, query, seed] = m_query(θ refitted on the subset) − m_query(θ of the control of the same seed)

Subsets are drawn as in Ilyas et al. (Datamodels, ICML 2022) and Park et al. (TRAK, ICML 2023): each keeps the same
share of the examples, uniformly without replacement. The work is :func:`whence.retraining.leave_out` with groups, so
any refit will do, the same shelf keeps what is finished, and one refit serves every query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.examples import as_examples
from whence.mapping import AbstractMapper
from whence.retraining.jobs import Shelf
from whence.retraining.leave_out import leave_out
from whence.retraining.refit import AbstractRefit
from whence.task import AbstractTask


def random_subsets(ids: npt.NDArray[Any], count: int, keep: float = 0.5, seed: int = 0) -> dict[str, Any]:
    """What each of ``count`` random subsets leaves out, by name: all but a share ``keep`` of the ids, at least one.

    Subset number i is the same whatever ``count`` is, so more of them can be drawn later and those that are done are
    kept. Raises ValueError for ``count`` < 1 or a ``keep`` that leaves no example in or none out.
    """
    left_out = len(ids) - round(keep * len(ids)) if 0 < keep < 1 else 0
    if count < 1:
        raise ValueError(f"{count} subsets: give at least 1, for a correlation at least 10")
    if not 0 < left_out < len(ids):
        raise ValueError(f"keep must leave some of {len(ids)} examples in and some out, for example 0.5, not {keep}")
    found: dict[str, Any] = {}
    for number in range(count):
        drawn = np.random.default_rng([seed, number]).choice(len(ids), left_out, replace=False)
        found[f"subset-{number}"] = ids[np.sort(drawn)]
    return found


def retrain_on_subsets(
    model: AbstractTask,
    train: Any,
    queries: Any,
    refit: AbstractRefit,
    *,
    count: int = 100,
    keep: float = 0.5,
    seed: int = 0,
    seeds: Sequence[int] = (0,),
    mapper: AbstractMapper | None = None,
    shelf: Shelf | None = None,
) -> xr.Dataset:
    """Truth [removed, query, seed] of refitting on ``count`` random subsets that keep a share ``keep`` of the examples.

    ``seed`` draws the subsets, ``seeds`` are the refits' own: with several of a refit from scratch the truth says how
    far it agrees with itself. ``attrs["chosen"]`` says how subsets were drawn. For the rest, and for what it raises,
    see :func:`whence.retraining.leave_out`.
    """
    data = as_examples(train)
    remove = random_subsets(data.ids, count, keep, seed)
    left_out = len(next(iter(remove.values())))
    truth = leave_out(model, data, queries, remove, refit, seeds=seeds, mapper=mapper, shelf=shelf)
    words = f"{count} random subsets, each without {left_out} of {len(data)} examples, drawn with seed {seed}"
    return truth.assign_attrs(chosen=words)

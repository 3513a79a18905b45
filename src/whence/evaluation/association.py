"""How any quantity goes along with actual effects: correlations, which need no common unit, and no claim to agree.

Distances, similarities and losses predict no change of a loss; :func:`whence.evaluation.agreement` therefore compares
them by rank only. Table 5.1 of Brinkman and Larsson Hörkén (MSc thesis, Chalmers 2018) prints Pearson's correlation of
such metrics with actual influence: this is that table, with intervals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from whence.comparison import aligned
from whence.evaluation import statistics
from whence.evaluation.bootstrap import Bootstrap


def association(
    scores: xr.DataArray,
    truth: xr.Dataset,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    *,
    absolute: bool = False,
) -> pd.DataFrame:
    """One row a (sample, query): Pearson's and Spearman's correlation of ``scores`` with the effects of ``truth``.

    Columns: method, quantity, kind, sample, query, n, pearson and spearman with their percentile bootstrap intervals
    over removals (``_low``, ``_high``). ``absolute``: with the size of the effect, whatever its sign.
    Raises ResultError if ids of the truth are absent from the scores or a result breaks the schema.
    """
    bootstrap, together = Bootstrap(resamples, seed, confidence), aligned(scores, truth)
    rows = []
    for sample, chosen in together.samples.items():
        for position, query in enumerate(together.queries.tolist()):
            mine = chosen[position]
            x, y = together.predicted[position, mine], together.actual[position, mine].mean(axis=1)
            y = np.abs(y) if absolute else y
            row = {"method": scores.attrs["method"], "quantity": scores.attrs["quantity"], "kind": truth.attrs["kind"]}
            row |= {"sample": sample, "query": query, "n": int(mine.sum())}
            for name in ("pearson", "spearman"):
                low, high = getattr(bootstrap, name)(x, y)
                row |= {name: getattr(statistics, name)(x, y), f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)

"""Agreement over queries: one line a method, kind of truth and sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from whence.evaluation.bootstrap import Bootstrap

GROUPS = ["method", "kind", "sample"]


def summary(table: pd.DataFrame, resamples: int = 1000, seed: int = 0, confidence: float = 0.95) -> pd.DataFrame:
    """Summarise the table of :func:`agreement` (or several, concatenated) over queries, in order of appearance.

    Columns: method, kind, sample; queries: how many; undefined: those without a Spearman correlation, which medians
    and minima leave out; n: the median number of removals a query; median_* and min_* of pearson and spearman with
    the percentile bootstrap interval of the median over queries (median_*_low, median_*_high);
    median_within_sign_pearson, median_top_k_overlap, median_lds, median_ceiling; unconverged: the sum over queries.

    Raises ValueError if the table lacks columns of :func:`agreement` or the bootstrap settings are impossible.
    """
    bootstrap = Bootstrap(resamples, seed, confidence)
    needed = [*GROUPS, "n", "pearson", "spearman", *_MEDIANS, "unconverged"]
    absent = [name for name in needed if name not in table]
    if absent:
        raise ValueError(f"the table lacks the columns {absent}; pass what whence.evaluation.agreement returned")
    rows = [
        dict(zip(GROUPS, key, strict=True)) | _row(group, bootstrap)
        for key, group in table.groupby(GROUPS, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows)


_MEDIANS = ("within_sign_pearson", "top_k_overlap", "lds", "ceiling")


def _row(group: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    row: dict[str, Any] = {
        "queries": len(group),
        "undefined": int(group["spearman"].isna().sum()),
        "n": float(group["n"].median()),
    }
    for name in ("pearson", "spearman"):
        values = group[name].to_numpy(dtype=np.float64)
        low, high = bootstrap.median(values)
        row |= {f"median_{name}": group[name].median(), f"median_{name}_low": low, f"median_{name}_high": high}
        row[f"min_{name}"] = group[name].min()
    row |= {f"median_{name}": group[name].median() for name in _MEDIANS}
    # Unknown for one query is unknown for the sum.
    return row | {"unconverged": group["unconverged"].sum(skipna=False)}

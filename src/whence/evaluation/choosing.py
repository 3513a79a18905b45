"""Which examples are left out: the most influential of each query, and random ones, kept apart.

Choosing by |score| makes two clusters, helpful and harmful, whose distance alone inflates a correlation (Koh and Liang
2017, Fig. 2); random examples do not, but are weak. Both are reported.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from whence import results

MOST = "most influential"
RANDOM = "random"


def choose_removals(
    scores: xr.DataArray, most: int = 100, random: int = 100, seed: int = 0, *, sides: bool = False
) -> xr.DataArray:
    """A plan of removals ``chosen`` [sample, query, removed], a variable that a truth carries.

    Sample "most influential": each query's ``most`` training examples with the largest |score|; with ``sides``, half
    of them the largest scores and half the smallest, as the thesis of Brinkman and Larsson Hörkén (2018, section
    4.2.3) chooses them. Sample "random": the same ``random`` examples for all queries. The ``removed`` ids are all
    examples that occur.
    Raises ValueError if a number exceeds the training set or both are 0.
    """
    array = results.check(scores)
    count = array.sizes["train"]
    if not 0 <= most <= count or not 0 <= random <= count or most + random == 0:
        raise ValueError(f"most and random must lie between 0 and {count}, and not both be 0")
    values = np.asarray(array.values)
    order = np.argsort(-values if sides else -np.abs(values), axis=1, kind="stable")
    first = most - most // 2 if sides else most
    taken = np.concatenate([order[:, :first], order[:, count - (most - first) :]], axis=1)
    chosen = np.zeros((2, array.sizes["query"], count), dtype=bool)
    np.put_along_axis(chosen[0], taken, True, axis=1)
    chosen[1][:, np.random.default_rng(seed).choice(count, random, replace=False)] = True
    kept = chosen.any((0, 1))
    coords = {"sample": [MOST, RANDOM], "query": array["query"].values, "removed": array["train"].values[kept]}
    attrs = {"chosen_by": array.attrs["method"], "seed": seed}
    return xr.DataArray(chosen[:, :, kept], dims=("sample", "query", "removed"), coords=coords, attrs=attrs)

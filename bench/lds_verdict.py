"""Rows against one truth, and method by method ours against the best of the peers.

With ρ[row, query], Spearman's correlation over the subsets of predicted and actual effects, two rows differ by

    mean over queries of ρ[ours, query] − ρ[peer's, query]

over the queries that both answered. Its 95 % interval is a percentile bootstrap over subsets and queries, both rows on
the same resamples. Ours is the best row of its family, the peer's the one against which the difference is smallest,
each chosen on the very subsets that compare them: a small lead of a family of many rows is worth little. Where peers
answered different numbers of queries each number has a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from bench.race_rows import OURS, Record
from whence import results
from whence.comparison import Array, aligned
from whence.evaluation import linear_datamodeling
from whence.evaluation.bootstrap import Bootstrap, weighted_spearman
from whence.evaluation.statistics import spearman

BETTER, AHEAD, SAME, WORSE = "yes", "yes, not told apart", "not told apart", "no"
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Family:
    """One method: rows of ours and of the peers that compute it."""

    name: str
    ours: tuple[str, ...]
    peers: tuple[str, ...]


FAMILIES = (
    Family("gradient dot product", ("whence_gradient_dot",), ("kronfluence_identity",)),
    Family("TracIn", ("whence_tracin",), ("captum_tracincp", "dattri_tracin")),
    Family("TracIn, last layer", ("whence_tracin_last",), ("captum_tracincp_fast",)),
    Family("diagonal", ("whence_diagonal", "whence_diagonal_free"), ("kronfluence_diagonal",)),
    Family("KFAC", ("whence_kfac",), ("kronfluence_kfac",)),
    Family(
        "EKFAC",
        (
            *("whence_ekfac_layer_free", "whence_ekfac_sampled_layer", "whence_ekfac_layer"),
            *("whence_ekfac_sampled", "whence_ekfac"),
        ),
        ("kronfluence_ekfac", "kronfluence_ekfac_defdamp", "dattri_ekfac", "pydvl_ekfac", "pydvl_ekfac_conv"),
    ),
    Family("TRAK, 512 dimensions", ("whence_trak512",), ("traker512", "dattri_trak512")),
    Family("TRAK, 2048 dimensions", ("whence_trak2048",), ("traker2048", "dattri_trak2048")),
    Family("DataInf", ("whence_datainf",), ("dattri_datainf", "pydvl_harmonic")),
    Family("LiSSA", ("whence_lissa",), ("pydvl_lissa", "dattri_lissa")),
    Family(
        "Arnoldi",
        ("whence_arnoldi50",),
        ("pydvl_arnoldi50", "captum_arnoldi100", "captum_arnoldi", "dattri_arnoldi"),
    ),
    Family("Nyström", ("whence_nystroem100",), ("pydvl_nystroem100",)),
    Family(
        "conjugate gradients",
        (
            *("whence_pcg3_sampled", "whence_pcg5_sampled", "whence_pcg3", "whence_pcg5"),
            *("whence_cg_sampled", "whence_cg", "whence_cg_ekfac"),
        ),
        ("pydvl_cg", "dattri_cg10", "dattri_cg10_asis", "dattri_cg100"),
    ),
    Family(
        "dense",
        ("whence_hessian", "whence_gauss_newton"),
        ("captum_naive_h500", "dattri_explicit", "pydvl_direct"),
    ),
    Family("dense, last layer", ("whence_gauss_newton_last",), ("dattri_explicit_fc",)),
)
"""DataInf is InverseHarmonicMeanInfluence in pyDVL. Rows of ours that no peer has count only among all methods."""
OVERALL, REFERENCE = "all methods", "reference"


@dataclass(frozen=True)
class Judged:
    """A row on a truth: effects [query, subset] of its queries, correlations [query], and what is reported of it."""

    row: str
    peer: str
    predicted: Array
    actual: Array
    each: Array
    score: Record


def judged(row: str, peer: str, values: Array, truth: xr.Dataset) -> Judged:
    """Scores ``values`` [query, train] of the truth's first queries on it."""
    asked = truth.isel(query=slice(len(values)))
    scores = labelled(row, values, asked)
    (found,) = linear_datamodeling(scores, asked).to_dict("records")
    together = aligned(scores, asked)
    predicted, actual = together.predicted, together.actual.mean(2)
    each = np.array([spearman(x, y) for x, y in zip(predicted, actual, strict=True)])
    names = ("lds", "lds_low", "lds_high", "n", "queries", "undefined", "seeds", "retest", "attainable")
    score: Record = {"row": row, "peer": peer} | {name: _plain(found[name]) for name in names}
    return Judged(row, peer, predicted, actual, each, score)


def labelled(row: str, values: Array, truth: xr.Dataset) -> xr.DataArray:
    """Scores with the ids of the truth; their sign is that of a removal, for other rows do not count in the race."""
    about = {name: truth.attrs[name] for name in ("sign", "damping", "task", "objective", "checkpoint")}
    about |= {"method": row, "quantity": f"score by {row}", "unit": "none", "precision": "not stated", "seed": None}
    about |= {"solver": results.solver_report(row), "version": "not stated", "schema": results.SCHEMA}
    ids = [results.Labels(truth[dim].values) for dim in ("query", "train")]
    return results.scores(values, *ids, about)


def verdicts(rows: Sequence[Judged], bootstrap: Bootstrap) -> list[Record]:
    """The lines of each family, and of all rows together."""
    everything = Family(
        OVERALL,
        tuple(one.row for one in rows if one.peer == OURS),
        tuple(one.row for one in rows if one.peer not in (OURS, REFERENCE)),
    )
    return [line for family in (*FAMILIES, everything) for line in _lines(family, rows, bootstrap)]


def bar(found: Sequence[Record]) -> dict[str, int]:
    """How many families hold the bar, and how; a family with several lines counts by its worst."""
    order = (BETTER, AHEAD, SAME, WORSE, NOT_KNOWN)
    worst: dict[str, str] = {}
    for line in found:
        if line["family"] != OVERALL:
            worst[line["family"]] = max(worst.get(line["family"], BETTER), line["held"], key=order.index)
    return {f"methods with ours at least the best peer's: {word}": [*worst.values()].count(word) for word in order}


def _lines(family: Family, rows: Sequence[Judged], bootstrap: Bootstrap) -> list[Record]:
    defined = [one for one in rows if one.score["lds"] is not None]
    ours = [one for one in defined if one.row in family.ours]
    peers = [one for one in defined if one.row in family.peers]
    if not ours or not peers:
        why = "no row of ours is scored" if not ours else "no row of a peer is scored"
        return [{"family": family.name, "ours": None, "peer": None, "held": NOT_KNOWN, "why": why}]
    mine = max(ours, key=lambda one: one.score["lds"])
    answered = sorted({len(one.each) for one in peers}, reverse=True)
    best = [min((one for one in peers if len(one.each) == n), key=lambda one: _lead(mine, one)) for n in answered]
    return [{"family": family.name, **_compared(mine, theirs, bootstrap)} for theirs in best]


def _both(mine: Judged, theirs: Judged) -> npt.NDArray[np.int64]:
    """The queries for which both rows have a correlation."""
    count = min(len(mine.each), len(theirs.each))
    return np.flatnonzero(np.isfinite(mine.each[:count]) & np.isfinite(theirs.each[:count]))


def _lead(mine: Judged, theirs: Judged) -> float:
    shared = _both(mine, theirs)
    return float((mine.each[shared] - theirs.each[shared]).mean()) if len(shared) else np.nan


def _compared(mine: Judged, theirs: Judged, bootstrap: Bootstrap) -> Record:
    shared, lead = _both(mine, theirs), _lead(mine, theirs)
    low, high = _interval(mine, theirs, bootstrap) if len(shared) else (np.nan, np.nan)
    lds = [float(one.each[shared].mean()) if len(shared) else np.nan for one in (mine, theirs)]
    return {
        "ours": mine.row,
        "peer": theirs.row,
        "queries": len(shared),
        "lds of ours": _plain(lds[0]),
        "lds of the peer": _plain(lds[1]),
        "difference": _plain(lead),
        "difference_low": _plain(low),
        "difference_high": _plain(high),
        "held": _held(lead, low, high),
    }


def _interval(mine: Judged, theirs: Judged, bootstrap: Bootstrap) -> tuple[float, float]:
    """Of the difference, over subsets and queries, drawn alike for both rows."""
    shared, n = _both(mine, theirs), mine.actual.shape[1]
    generator = np.random.default_rng([bootstrap.seed, len(shared), n])

    def statistic(counts: Array) -> Array:
        drawn = np.stack([_drawn(mine, query, counts) - _drawn(theirs, query, counts) for query in shared], 1)
        picked = generator.integers(len(shared), size=drawn.shape)
        found: Array = np.take_along_axis(drawn, picked, axis=1).mean(1)
        return found

    return bootstrap.interval(n, statistic)


def _drawn(one: Judged, query: int, counts: Array) -> Array:
    return weighted_spearman(one.predicted[query], one.actual[query], counts)


def _held(difference: float, low: float, high: float) -> str:
    if not np.isfinite([difference, low, high]).all():
        return NOT_KNOWN
    if difference < 0:
        return SAME if high >= 0 else WORSE
    return BETTER if low > 0 else AHEAD


def _plain(value: float) -> float | int | None:
    """A number for JSON, which knows no NaN."""
    return None if not np.isfinite(value) else value

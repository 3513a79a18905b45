"""Which damping predicts which truth: first-order influence at several dampings against proximal and continued refits.

A proximal refit has its damping by construction. Steps that go on for a while may act like one too, since directions of
small curvature have no time to move; which damping that is like is what is looked for here.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from whence.attribution.influence import InfluenceFunction
from whence.plots import damping_sweep as drawn
from whence.solvers.dense import Dense
from whence.studies.mnist import model as models
from whence.studies.mnist.stage import Context
from whence.studies.section import Section
from whence.sweep import damping_sweep

DAMPINGS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def sections(context: Context, truths: Sequence[xr.Dataset]) -> tuple[Section, pd.DataFrame]:
    """The section, and its table: a row a damping, kind of truth, sample and image."""
    model = context.model
    curvature = models.dense_hessian(context.run, model, context.progress)
    context.progress.say(f"influence at {len(DAMPINGS)} dampings")
    method = InfluenceFunction(Dense(), curvature=curvature)
    swept = damping_sweep(method, model.task, model.train, model.asked, DAMPINGS, truths)
    table, undefined = swept.agreement, [f"{damping:g}" for damping in swept.refused]
    about = ["kind", "sample", "query", "damping", "n"]
    table = table[[*about, "pearson", "pearson_low", "pearson_high", "spearman", "ceiling"]]
    curves = []
    words = [f"Too small a damping for this Hessian: {', '.join(undefined)}."] if undefined else []
    for (kind, sample, query), part in table.groupby(["kind", "sample", "query"], sort=False):
        known = part.dropna(subset=["pearson", "pearson_low"])
        if known.empty:
            words.append(f"{kind}, {sample}, image {query}: too few refits for a correlation.")
            continue
        best = known.loc[known["pearson"].idxmax()]
        words.append(
            f"{kind}, {sample}, image {query} (n = {best['n']}): best at damping {best['damping']:g}, "
            f"r = {best['pearson']:.3f} [{best['pearson_low']:.3f}, {best['pearson_high']:.3f}]."
        )
        names = {"pearson": "value", "pearson_low": "low", "pearson_high": "high"}
        curves.append(part.rename(columns=names).assign(method=f"{kind}, {sample}, {query}"))
    columns = ["method", "damping", "value", "low", "high"]
    lines = pd.concat(curves, ignore_index=True)[columns] if curves else pd.DataFrame(columns=columns)
    figure = context.figure("damping", drawn(lines, "Pearson's r", "First-order influence against refits"))
    title = "Which damping predicts which truth"
    return (
        Section("", title, tuple(words), {"agreement by damping": table}, (figure,), chapter="6 Beyond the thesis"),
        table,
    )

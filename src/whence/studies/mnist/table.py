"""Table 5.1: how each metric goes along with actual influence, ours beside the thesis' numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from whence.evaluation.association import association
from whence.evaluation.choosing import MOST
from whence.studies.mnist.model import Subject
from whence.studies.mnist.thesis import TABLE_5_1, beside
from whence.studies.section import Section


def table_5_1(entries: Mapping[str, xr.DataArray], actual: xr.Dataset, subjects: tuple[Subject, ...]) -> Section:
    """The section: a row a metric of ``entries``, image and sample."""
    rows, sentences = [], []
    for name, array in entries.items():
        table = association(array, actual)
        for _, row in table.iterrows():
            subject = next(s for s in subjects if s.id == row["query"])
            printed = TABLE_5_1[name][subject.column] if name in TABLE_5_1 and subject.column is not None else np.nan
            printed = printed if row["sample"] == MOST else np.nan
            line = {"metric": name, "image": subject.name, "sample": row["sample"], "n": row["n"]}
            line |= {c: row[c] for c in ("pearson", "pearson_low", "pearson_high", "spearman")}
            rows.append(line | {"thesis": printed})
            if np.isfinite(printed):
                interval = (float(row["pearson_low"]), float(row["pearson_high"]))
                words = f"{name}, {subject.name}, n = {row['n']}"
                sentences.append(beside(words, float(row["pearson"]), interval, float(printed)))
    return Section(
        "Table 5.1",
        "Pearson correlation of actual influence (proximal refits) and each metric",
        tuple(sentences),
        {"Table 5.1": pd.DataFrame(rows)},
        source="; ".join(f"{name} {a:+.3f} / {b:+.3f}" for name, (a, b) in TABLE_5_1.items())
        + " (incorrectly / correctly classified 6), against continued retraining.",
        chapter="5 Results",
    )

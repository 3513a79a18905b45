"""Which images lie near to a test image in the logits, and which far: Fig. 5.9, 5.10, 5.12 and 5.13."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from whence.display import shown
from whence.plots import influence_by_class, picture_grid
from whence.plots.pictures import Panel
from whence.studies.mnist.model import MnistModel, Subject
from whence.studies.mnist.stage import Context
from whence.studies.section import Section


def near_and_far(context: Context, subject: Subject, array: xr.DataArray) -> list[Section]:
    """Fig. 5.9/5.10: images of low |cosine| and of the largest cosine; Fig. 5.12/5.13: the cosine by class."""
    row = array.sel(query=subject.id)
    low, high = np.argsort(np.abs(row.values), kind="stable")[:16], np.argsort(-row.values, kind="stable")[:16]
    panels = [
        Panel("low |cosine similarity|", [_picture(context.model, row, int(i)) for i in low]),
        Panel("largest cosine similarity", [_picture(context.model, row, int(i)) for i in high]),
    ]
    near = row["train_label"].values[high]
    prediction = int(row["query_prediction"])
    same = int((near == prediction).sum())
    by_class = row.groupby("train_label").median()
    order = by_class.sortby(by_class, ascending=False)
    words = ", ".join(f"{int(c)} ({float(v):+.2f})" for c, v in zip(order["train_label"], order, strict=True))
    return [
        Section(
            subject.numbered("Figure 5.9", "Figure 5.10"),
            f"Images far from and near to the {subject.name} in the logits",
            (f"Of the 16 nearest images {same} are labelled {prediction}, the class that the model predicts for it.",),
            figures=(context.figure(f"near-and-far-{subject.id}", picture_grid(panels)),),
            source="Many images close to the test image belong to the class that is predicted for it.",
            chapter="5 Results",
        ),
        Section(
            subject.numbered("Figure 5.12", "Figure 5.13"),
            f"Cosine similarity to the {subject.name} in the logits, by class",
            (f"Medians by class, from the nearest: {words}.",),
            figures=(context.figure(f"cosine-by-class-{subject.id}", influence_by_class(array, subject.id)),),
            source="Some classes can be told from others by cosine similarity, others overlap.",
            chapter="5 Results",
        ),
    ]


def _picture(model: MnistModel, row: xr.DataArray, position: int) -> tuple[Any, str]:
    one = row.isel(train=position)
    return shown(model.train, one["train"].item()).value, f"{int(one['train_label'])}: {float(one):+.2f}"

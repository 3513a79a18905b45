"""Stage ``convergence``: how far the parameters move when an image is left out, going on or from scratch; Fig. 5.19."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from whence.parameters import vector_of
from whence.plots import weight_changes
from whence.plots.weight_changes import WeightChange
from whence.studies.mnist import refits
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.thesis import MOVED
from whence.studies.section import Section

Array = npt.NDArray[np.float64]


def work(context: Context) -> Outcome:
    run, model, progress = context.run, context.model, context.progress
    truth, _ = refits.proximal(run, model, progress)
    going_on, afresh = refits.continued(run, model, progress), refits.from_scratch(run, model, progress)
    checkpoint = vector_of(model.module, model.task.layout).double().numpy()
    shelves = {"continued": f"refits-continued-{model.plan.continued[2]}", "from scratch": "refits-from-scratch"}
    rows: list[dict[str, Any]] = []
    panels = []
    for (name, shelf), kind, printed in zip(shelves.items(), (going_on, afresh), MOVED, strict=True):
        seed = int(kind["seed"].values[0])
        identity = afresh["removed"].values[0]
        identity = identity if identity in kind["removed"].values else kind["removed"].values[0]
        refitted = _theta(context, shelf, f"{identity.item()!r}|{seed}")
        control = _theta(context, shelf, f"control|{seed}")
        distance = float(np.linalg.norm(refitted - checkpoint))
        rows.append(
            {
                "retraining": name,
                "left out": int(identity),
                "from the checkpoint": distance,
                "from its control": float(np.linalg.norm(refitted - control)),
                "median from control, all refits": float(kind["distance"].median()),
                "refits": int(kind.sizes["removed"] * kind.sizes["seed"]),
                "thesis, from the checkpoint": printed,
            }
        )
        panels.append(WeightChange(_change(model.task.layout, refitted - checkpoint), name))
    table = pd.DataFrame(rows)
    ratio = rows[1]["from the checkpoint"] / max(rows[0]["from the checkpoint"], 1e-300)
    words = (
        f"From scratch the parameters end {ratio:,.0f} times as far from the checkpoint as after going on "
        f"(the thesis: {MOVED[1] / MOVED[0]:,.0f} times).",
        f"From its own control, the same training with nothing left out, a refit from scratch ends "
        f"{rows[1]['from its control']:.3g} away, a continued one {rows[0]['from its control']:.3g}: what leaving one "
        "image out does by itself.",
        _effects(afresh, truth),
    )
    section = Section(
        "Figure 5.19",
        "Change of each parameter after retraining without one image",
        words,
        {"parameter change": table},
        (context.figure("weight-changes", weight_changes(panels)),),
        f"Euclidean distance {MOVED[0]} after going on and {MOVED[1]} after training from scratch.",
        "5 Results",
    )
    return Outcome([section], {"moved": rows})


def _theta(context: Context, shelf: str, key: str) -> Array:
    return np.array(context.run.shelf(shelf).get(key)["theta"], dtype=np.float64)


def _change(layout: Any, values: Array) -> xr.DataArray:
    names = np.repeat(layout.names, layout.sizes)
    return xr.DataArray(values, dims=("parameter",), coords={"parameter_name": ("parameter", names)})


def _effects(afresh: xr.Dataset, truth: xr.Dataset) -> str:
    """Effects of leaving out the first image from scratch, beside those of its proximal refit, where it has one."""
    identity = afresh["removed"].values[0]
    pairs = [("training from scratch", afresh)]
    pairs += [("its proximal refit", truth)] if identity in truth["removed"].values else []
    said = [
        f"{name} changes the test images' losses by "
        + ", ".join(f"{float(value):+.2g}" for value in kind["effect"].isel(seed=0).sel(removed=identity).values)
        for name, kind in pairs
    ]
    return f"Without image {identity}: {'; '.join(said)}."

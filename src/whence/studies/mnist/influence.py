"""Stage ``influence``: by conjugate gradients as in the thesis, LiSSA, Gauss-Newton, an exact factor; corrected."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.influence import InfluenceFunction
from whence.display import shown
from whence.evaluation.statistics import pearson, spearman
from whence.execution import RunFolder
from whence.plots import gallery, influence_by_class
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.dense import Dense
from whence.solvers.lissa import LiSSA
from whence.studies.mnist import model as models
from whence.studies.mnist.model import MnistModel
from whence.studies.mnist.plan import DAMPING
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section
from whence.studies.study import Progress

EXACT, CORRECTED, CG = "exact", "leverage-corrected", "conjugate-gradients"
SUBJECTS_ONLY = (CG, "lissa")
"""Methods whose cost grows with the queries; they answer for the subjects, the others for all queries."""
TITLES = {
    EXACT: "influence, exact factor",
    CORRECTED: "leverage-corrected influence",
    CG: "influence, conjugate gradients",
    "lissa": "influence, LiSSA",
    "gauss-newton": "influence, Gauss-Newton factor",
}


def methods(run: RunFolder, model: MnistModel, progress: Progress) -> dict[str, Callable[[], AbstractAttributor]]:
    """What is compared, by the name under which it is kept; the dense Hessian is worked out only if it is needed."""
    return {
        CG: lambda: InfluenceFunction(ConjugateGradient(tolerance=1e-4, lanczos=8), DAMPING),
        "gauss-newton": lambda: InfluenceFunction(Dense(), DAMPING, "gauss-newton"),
        "lissa": lambda: InfluenceFunction(LiSSA(model.plan.lissa, batch=64, repeats=1), DAMPING),
        EXACT: lambda: InfluenceFunction(Dense(), DAMPING, models.dense_hessian(run, model, progress)),
        CORRECTED: lambda: ApproximateLeaveOneOut(Dense(), DAMPING, models.dense_hessian(run, model, progress)),
    }


def scores(run: RunFolder, model: MnistModel, name: str, progress: Progress) -> xr.DataArray:
    """Scores by one method, from the run folder if they are there; the seconds it took stand in its attributes."""
    if not run.path(name).exists():
        method = methods(run, model, progress)[name]()
        progress.say(f"scores: {TITLES[name]}")
        began = time.monotonic()
        explainer = method.fit(model.task, model.train, model.mapper)
        fitted = time.monotonic() - began
        asked = model.asked if name in SUBJECTS_ONLY else model.queries
        found = explainer.attribute(asked)
        found.attrs["notes"] = {
            **found.attrs["notes"],
            "seconds_fit": fitted,
            "seconds_attribute": time.monotonic() - began - fitted,
        }
        run.save(name, found)
    kept: xr.DataArray = run.load(name)
    return kept


def work(context: Context) -> Outcome:
    """Scores by all methods; a table of cost, certificate and fidelity; Fig. 5.4, 5.5, 5.14 and 5.15."""
    run, model, progress = context.run, context.model, context.progress
    found = {name: scores(run, model, name, progress) for name in TITLES}
    rows = [_row(name, array, found[EXACT], model) for name, array in found.items()]
    table = pd.DataFrame(rows)
    facts: dict[str, Any] = {"influence": table.to_dict("records")}
    values = torch.linalg.eigvalsh(models.dense_hessian(run, model, progress).values.double())
    facts["lambda_min"], facts["lambda_max"] = float(values[0]), float(values[-1])
    facts["negative_eigenvalues"] = int((values < 0).sum())
    sections = [
        Section(
            "",
            "Five ways to the same influence",
            (
                f"Hessian of the objective: eigenvalues from {facts['lambda_min']:.2g} to {facts['lambda_max']:.3g}, "
                f"{facts['negative_eigenvalues']} of them negative; damping {DAMPING:g} must exceed the size of the "
                "smallest.",
                *[_of(row) for row in rows if row["method"] != EXACT],
            ),
            {"influence by five methods": table},
            chapter="6 Beyond the thesis",
        ),
    ]
    return Outcome(sections + _pictures(context, found[CG]), facts)


def _row(name: str, array: xr.DataArray, exact: xr.DataArray, model: MnistModel) -> dict[str, Any]:
    mine = [subject.id for subject in model.subjects]
    pairs = [(array.sel(query=q).values, exact.sel(query=q).values) for q in mine]
    solver, notes = array.attrs["solver"], array.attrs["notes"]
    return {
        "method": name,
        "queries": array.sizes["query"],
        "seconds, once a model": notes["seconds_fit"],
        "seconds, all queries": notes["seconds_attribute"],
        "relative residual": solver["relative_residual"],
        "converged": solver["converged"],
        "Pearson to exact, least": min(pearson(a, b) for a, b in pairs),
        "Spearman to exact, least": min(spearman(a, b) for a, b in pairs),
    }


def _of(row: dict[str, Any]) -> str:
    done = "converged" if row["converged"] else "did not converge"
    return (
        f"{TITLES[row['method']]}: {done}, relative residual {row['relative residual']:.1e}, "
        f"r = {row['Pearson to exact, least']:.4f} to the exact answer over all training images."
    )


def _pictures(context: Context, array: xr.DataArray) -> list[Section]:
    model, sections = context.model, []
    for subject in model.subjects:
        row = array.sel(query=subject.id)
        picture = gallery(array, subject.id, lambda i: _image(model, i, "train"), 8, lambda i: _image(model, i, "test"))
        top = array.whence.top(8, query=subject.id)
        labels = {side: part["train_label"].value_counts().to_dict() for side, part in top.groupby("side")}
        words = [f"Labels of the eight most {side}: {_counted(counts)}." for side, counts in labels.items()]
        sections.append(
            Section(
                subject.numbered("Figure 5.4", "Figure 5.5"),
                f"The most helpful and the most harmful images for the {subject.name}",
                tuple(words),
                figures=(context.figure(f"gallery-{subject.id}", picture),),
                source="The thesis shows images of the test image's class among the helpful ones, and images that are "
                "hard to read among the harmful ones of the incorrectly classified 6.",
                chapter="5 Results",
            )
        )
        sections.append(
            Section(
                subject.numbered("Figure 5.14", "Figure 5.15"),
                f"Influence on the {subject.name}, by class",
                (_by_class(row),),
                figures=(context.figure(f"influence-by-class-{subject.id}", influence_by_class(array, subject.id)),),
                source="Influence does not differ much between classes for the incorrectly classified 6; for the "
                "correctly classified 6 the class 6 has higher influence than any other.",
                chapter="5 Results",
            )
        )
    return sections


def _image(model: MnistModel, identity: object, part: str) -> Any:
    return shown(model.train if part == "train" else model.test, identity).value


def _counted(counts: dict[Any, int]) -> str:
    return ", ".join(f"{count} × {label}" for label, count in sorted(counts.items()))


def _by_class(row: xr.DataArray) -> str:
    label, values = row["train_label"].values, row.values.astype(np.float64)
    total = {int(c): float(np.abs(values[label == c]).mean()) for c in np.unique(label)}
    mean = {int(c): float(values[label == c].mean()) for c in np.unique(label)}
    largest, helpful = max(total, key=lambda c: total[c]), max(mean, key=lambda c: mean[c])
    rest = float(np.mean([value for c, value in total.items() if c != largest]))
    return (
        f"Mean |influence| is largest for class {largest}, {total[largest] / rest:.1f} times that of the other "
        f"classes; the mean itself is largest for class {helpful}."
    )

"""Logistic regression on two clusters and an outlier (thesis, sections 4.1 and 5.1; Figures 4.1 and 5.2).

Every training point is left out by a complete refit from zero weights (scikit-learn's L-BFGS, tolerance 1e-8, 1,000
iterations), and compared with influence by several solvers and with the leverage-corrected form.

The objective is convex and needs no damping, but two softmax outputs have one flat direction, the common shift of
their biases, on which no prediction depends. The eigendecomposition drops it; the right-hand sides of conjugate
gradients and LiSSA have no part in it, so both run undamped, without a preconditioner.

The penalty is strong on purpose: the correction knows how the removed point bends the objective, not that the others
bend it differently where the refit ends. Under a weak penalty the outlier's removal moves the fit far enough for this
second error to show, more or less by the draw of the data; a table compares penalties.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr

from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.influence import InfluenceFunction
from whence.attribution.refitted import refit_for
from whence.comparison import aligned
from whence.datasets import clusters
from whence.datasets.clusters import OUTLIER
from whence.evaluation import agreement, summary
from whence.examples import Examples
from whence.execution import JoblibMapper, RunFolder
from whence.exhibit import Choices, exhibit
from whence.mapping import AbstractMapper, SerialMapper
from whence.models import linear_model
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.plots import point_influence, predicted_against_actual
from whence.results import SOLVER
from whence.retraining.converged import Converged
from whence.retraining.from_scratch import FromScratch
from whence.retraining.lbfgs import LBFGS
from whence.retraining.leave_out import leave_out
from whence.retraining.newton import Newton
from whence.retraining.refit import AbstractRecipe
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.eigen import Eigen
from whence.solvers.lissa import LiSSA
from whence.studies.reopened import Reopened
from whence.studies.study import Progress, Report, Settings, Study
from whence.tasks import Classification

POINTS = {"tiny": 40, "standard": 150, "full": 150}
WEIGHT_DECAY, WEAKER = 1.2, (0.1, 0.01)
FIRST, CORRECTED = "influence", "leverage-corrected"
METHODS: dict[str, AbstractAttributor] = {
    FIRST: InfluenceFunction(Eigen(), 0.0),
    "influence-CG": InfluenceFunction(ConjugateGradient(1e-8, preconditioner="none"), 0.0),
    "influence-LiSSA": InfluenceFunction(LiSSA(depth=200, batch=100, repeats=20), 0.0),
    CORRECTED: ApproximateLeaveOneOut(Eigen(), 0.0),
}
Scores = dict[str, xr.DataArray]


def run(run: RunFolder, settings: Settings) -> Report:
    """Train, leave every point out, predict, and compare."""
    progress, report = Progress("clusters"), Report("clusters")
    train, queries = clusters(POINTS[settings.size], settings.seed)
    mapper = JoblibMapper(settings.jobs) if settings.jobs > 1 else SerialMapper()
    task = trained(train, WEIGHT_DECAY)
    progress.say(f"{len(train)} complete refits")
    truth = complete_refits(run, task, (train, queries), WEIGHT_DECAY, mapper)
    run.save("truth", truth)
    scores: Scores = {}
    for name, method in METHODS.items():
        progress.say(f"scores by {name}")
        scores[name] = method.fit(task, train).attribute(queries)
        run.save(name, scores[name])
    progress.say("refits from a polished optimum")
    polished = trained(train, WEIGHT_DECAY, Newton(tolerance=1e-12))
    shelf = run.shelf("refits-polished")
    again = leave_out(polished, train, queries, train.ids, Converged(), mapper=mapper, shelf=shelf)
    report.tables["agreement with complete refits"] = _agreement(scores, truth)
    report.tables["the outlier"] = _outlier(scores, truth)
    report.tables["solvers"] = _solvers(scores)
    report.facts["polished_difference_max"] = float(abs(again["effect"] - truth["effect"]).max())
    rows = [_row_of_penalty(WEIGHT_DECAY, scores, truth)]
    for weaker in WEAKER:
        progress.say(f"complete refits with weight_decay {weaker:g}")
        other = trained(train, weaker)
        found = {name: METHODS[name].fit(other, train).attribute(queries) for name in (FIRST, CORRECTED)}
        rows.append(_row_of_penalty(weaker, found, complete_refits(run, other, (train, queries), weaker, mapper)))
    report.tables["what the penalty changes"] = pd.DataFrame(rows)
    _tell(report, truth)
    _draw(run, report, train, scores, truth)
    corrected = METHODS[CORRECTED].fit(task, train)
    choices = Choices("Two clusters", ("input",), corrected.self_influence, "study", 0.0, settings.seed)
    exhibit(run, task, train, queries, choices, progress.say)
    return report


def reopen(run: RunFolder, settings: Settings) -> Reopened:
    """The optimum, found again: it takes no time."""
    train, queries = clusters(POINTS[settings.size], settings.seed)
    return Reopened(trained(train, WEIGHT_DECAY), train, queries, refit_for(0.0))


def fresh(seed: int) -> torch.nn.Module:
    """A new module, always at zero: the problem is convex."""
    return linear_model(2, 2)


def trained(train: Examples, weight_decay: float, recipe: AbstractRecipe | None = None) -> Classification:
    """Softmax regression with L2 on the weights, at the optimum that scikit-learn's L-BFGS (or ``recipe``) finds."""
    module = linear_model(2, 2)
    task = Classification(module, weight_decay=weight_decay)
    load_vector(module, task.layout, (recipe or LBFGS()).train(objective_of(task, train)).theta)
    return task


def complete_refits(
    run: RunFolder, task: Classification, data: tuple[Examples, Examples], weight_decay: float, mapper: AbstractMapper
) -> xr.Dataset:
    """Leave every point of the training set out, each by training anew."""
    train, queries = data
    shelf = run.shelf(f"refits-{weight_decay:g}")
    return leave_out(task, train, queries, train.ids, FromScratch(LBFGS(), fresh), mapper=mapper, shelf=shelf)


def _agreement(scores: Scores, truth: xr.Dataset) -> pd.DataFrame:
    """Over queries, and Pearson over all (query, point) pairs at once."""
    tables = [agreement(array, truth).assign(method=name) for name, array in scores.items()]
    found = summary(pd.concat(tables, ignore_index=True))
    found["pooled_pearson"] = [_pooled(array, truth) for array in scores.values()]
    columns = ["method", "kind", "queries", "n", "pooled_pearson", "median_pearson", "median_pearson_low"]
    columns += ["median_pearson_high", "min_pearson", "median_spearman", "median_top_k_overlap", "unconverged"]
    return found[columns]


def _pooled(scores: xr.DataArray, truth: xr.Dataset) -> float:
    pair = aligned(scores, truth)
    return float(np.corrcoef(pair.predicted.ravel(), pair.actual.mean(-1).ravel())[0, 1])


def _outlier(scores: Scores, truth: xr.Dataset) -> pd.DataFrame:
    """Its rank by mean |effect| over the queries, how far ahead it is of the next, and the error of its prediction."""
    actual = truth["effect"].mean("seed").rename(removed="train").transpose("query", "train")
    rows = []
    for name, array in {"complete refits": actual, **scores}.items():
        strength = abs(array).mean("query")
        own, others = float(strength.sel(train=OUTLIER)), strength.drop_sel(train=OUTLIER)
        error = abs(array.sel(train=OUTLIER) - actual.sel(train=OUTLIER))
        row = {"by": name, "rank": 1 + int((others > own).sum()), "mean |effect|": own}
        rows.append({**row, "largest of the others": float(others.max()), "median error": float(error.median())})
    return pd.DataFrame(rows)


def _solvers(scores: Scores) -> pd.DataFrame:
    """Certificates, and the relative L2 distance of first-order scores from those of the direct solver."""
    exact, rows = scores[FIRST].values, []
    for name, array in scores.items():
        solver = array.attrs["solver"]
        row = {"method": name, "solver": solver["name"], "damping": array.attrs["damping"]}
        row |= {key: solver[key] for key in SOLVER[1:]}
        apart = float(np.linalg.norm(array.values - exact) / np.linalg.norm(exact))
        rows.append({**row, "distance from direct": apart if name != CORRECTED else np.nan})
    return pd.DataFrame(rows)


def _row_of_penalty(weight_decay: float, scores: Scores, truth: xr.Dataset) -> dict[str, float]:
    error = _outlier(scores, truth).set_index("by")["median error"]
    pearson = {f"pooled_pearson, {name}": _pooled(scores[name], truth) for name in (FIRST, CORRECTED)}
    return {"weight_decay": weight_decay, **pearson, "outlier_error_ratio": float(error[FIRST] / error[CORRECTED])}


def _tell(report: Report, truth: xr.Dataset) -> None:
    table, outlier = (report.tables[name] for name in ("agreement with complete refits", "the outlier"))
    pearson, outlier = table.set_index("method"), outlier.set_index("by")
    apart = report.tables["solvers"].set_index("method")["distance from direct"]
    ratio = report.tables["what the penalty changes"]["outlier_error_ratio"][0]
    for name, words in ((CORRECTED, "Leverage-corrected influence"), (FIRST, "First-order influence")):
        report.sentences.append(
            f"{words}: Pearson {pearson.loc[name, 'pooled_pearson']:.5f} with complete refits over all pairs, "
            f"{pearson.loc[name, 'median_pearson']:.5f} in the median query; the outlier ranks "
            f"{outlier.loc[name, 'rank']} (by the refits {outlier.loc['complete refits', 'rank']})."
        )
    report.facts |= {
        "outlier_error_ratio": float(ratio),
        "refit_gradient_norm_max": float(truth["gradient_norm"].max()),
        "unconverged": int((~truth["converged"]).sum()),
    }
    report.sentences += [
        f"On the outlier the corrected error is {ratio:.1f} times smaller than first order's (medians over queries).",
        f"Distance from the direct solver: conjugate gradients {apart['influence-CG']:.1e}, "
        f"LiSSA {apart['influence-LiSSA']:.1%}.",
        f"Refits from a Newton-polished optimum differ by at most {report.facts['polished_difference_max']:.1e} nats; "
        f"the complete refits' largest gradient norm is {report.facts['refit_gradient_norm_max']:.1e}, "
        f"{report.facts['unconverged']} did not converge.",
    ]


def _draw(run: RunFolder, report: Report, train: Examples, scores: Scores, truth: xr.Dataset) -> None:
    batch, array = train.take(slice(0, len(train))), scores[CORRECTED]
    query = array["query"].values[int(np.argmax(array["query_loss"].values))]
    figure = point_influence(batch.inputs.numpy(), batch.targets.numpy(), array.sel(query=query), [OUTLIER])
    report.add_figure(run, "points", figure)
    for name in (FIRST, CORRECTED):
        figure = predicted_against_actual(scores[name], truth, query, agreement(scores[name], truth))
        report.add_figure(run, f"predicted-against-actual-{name}", figure)


STUDY = Study("clusters", "two clusters and an outlier: what the leverage correction is worth", run, reopen=reopen)

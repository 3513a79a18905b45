"""The tables over which the laws run. Adding a method, a solver, an operator or a mapper is one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import torch
from torch import Tensor

import whence as wh
from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.explainer import Explainer
from whence.curvature.operator import AbstractOperator, Diagonal
from whence.examples import Examples
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining import Recording
from whence.solvers.solver import AbstractSolver
from whence.task import AbstractTask

MAPPERS = [
    pytest.param(wh.SerialMapper(1), id="serial-1"),
    pytest.param(wh.SerialMapper(3), id="serial-3"),
    pytest.param(wh.JoblibMapper(2), id="joblib-2"),
]

# Each solves to 1e-6 or better on a positive definite operator.
SOLVERS = [
    pytest.param(wh.Dense(), id="dense"),
    pytest.param(wh.Eigen(), id="eigen"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="auto"), id="cg-auto"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="dense"), id="cg-dense"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="diagonal"), id="cg-diagonal"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="none", lanczos=0), id="cg-none"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="sampled"), id="cg-sampled"),
    pytest.param(wh.ConjugateGradient(tolerance=1e-9, preconditioner="ekfac"), id="cg-ekfac"),
    # with as many products as parameters nothing is left out
    pytest.param(wh.Arnoldi(rank=100, steps=100, tolerance=1e-6), id="arnoldi"),
    pytest.param(wh.Nystroem(rank=100, tolerance=1e-6), id="nystroem"),
]

# From an objective to an operator, with what the oracle adds to which matrix.
OPERATORS = [
    pytest.param(wh.Hessian, id="hessian"),
    pytest.param(wh.GaussNewton, id="gauss-newton"),
    pytest.param(lambda o: wh.Hessian(o).damped(0.3), id="damped"),
    pytest.param(lambda o: 2.5 * wh.GaussNewton(o) + Diagonal(-o.decay), id="scaled-sum"),
    pytest.param(wh.EmpiricalFisher, id="empirical-fisher"),
    pytest.param(wh.DiagonalGaussNewton, id="diagonal"),
    pytest.param(wh.BlockDiagonal, id="block-diagonal"),
    pytest.param(lambda o: wh.BlockDiagonal(o, "hessian"), id="block-diagonal-hessian"),
]
# Operators that are fitted to their examples, so that no sample estimates them without bias.
FITTED = [
    pytest.param(wh.KFAC, id="kfac"),
    pytest.param(wh.EKFAC, id="ekfac"),
    pytest.param(wh.SampledGaussNewton, id="sampled-gauss-newton"),
]
WITHOUT_CLASSES = ("ridge", "poisson", "dict")
OperatorOf = Callable[[Objective], AbstractOperator]


@dataclass(frozen=True)
class Method:
    """A row of the laws: a method and what it claims.

    ``loss_units``: a score is a change in the measurement; ``exact_for_ridge``: that of the refitted ridge regression;
    ``parameters``: it predicts the parameters too; ``solves``: its report speaks of a linear solve;
    ``zero``: an example of zero gradient scores 0 under a sum objective;
    ``samples``: it draws examples by their position, so their order matters, and asks for a mean objective;
    ``float32``: the same method with a tolerance that float32 can meet, where it differs;
    ``classes``: it needs a classification task; ``one_input``: it needs inputs that are a single tensor;
    ``certified``: its report speaks of a solve, though not by a solver of its choice; ``beyond``: problems that it
    cannot answer for; ``trained``: it predicts a training, not a refit to a minimum; ``rough``: its curvature is not
    the Hessian, not even of ridge regression.
    """

    attributor: AbstractAttributor
    loss_units: bool = False
    exact_for_ridge: bool = False
    parameters: bool = False
    solves: bool = False
    zero: bool = True
    samples: bool = False
    float32: AbstractAttributor | None = None
    classes: bool = False
    one_input: bool = False
    certified: bool = False
    beyond: tuple[str, ...] = ()
    trained: bool = False
    rough: bool = False

    def takes(self, name: str) -> bool:
        """Whether the method can answer for this problem."""
        unfit = (self.classes and name in WITHOUT_CLASSES) or (self.one_input and name == "dict")
        return not unfit and name not in self.beyond

    def fit(self, problem: Any, **options: Any) -> Explainer:
        return self.attributor.fit(problem.task, problem.train, **options)


ALL_SAMPLED = wh.Approximation("sampled-gauss-newton", examples=1000)
"""More examples than any problem has: then it is the whole Gauss-Newton matrix."""


def influence(solver: AbstractSolver, curvature: Any = "hessian", **options: Any) -> Method:
    method = wh.InfluenceFunction(solver, damping=0.1, curvature=curvature)
    return Method(method, loss_units=True, parameters=True, solves=True, **options)


def conjugate(preconditioner: Any, lanczos: int = 16) -> Method:
    strict, loose = (
        wh.ConjugateGradient(tolerance=tolerance, preconditioner=preconditioner, lanczos=lanczos)
        for tolerance in (1e-9, 1e-5)
    )
    return influence(strict, float32=influence(loose).attributor)


def corrected(solver: AbstractSolver, curvature: Any = "hessian") -> Method:
    method = wh.ApproximateLeaveOneOut(solver, damping=0.1, curvature=curvature)
    return Method(method, loss_units=True, exact_for_ridge=True, parameters=True, solves=True)


INFLUENCE = [
    pytest.param(influence(wh.Dense()), id="influence-dense"),
    pytest.param(influence(wh.Eigen()), id="influence-eigen"),
    pytest.param(conjugate("auto"), id="influence-cg-auto"),
    pytest.param(conjugate("dense"), id="influence-cg-dense"),
    pytest.param(conjugate("diagonal"), id="influence-cg-diagonal"),
    pytest.param(conjugate("none", lanczos=0), id="influence-cg-none"),
    pytest.param(influence(wh.Dense(), "gauss-newton"), id="influence-gauss-newton"),
    pytest.param(conjugate("sampled"), id="influence-cg-sampled"),
    pytest.param(conjugate("ekfac"), id="influence-cg-ekfac"),
    pytest.param(influence(wh.Factored(), "kfac"), id="influence-kfac"),
    pytest.param(influence(wh.Factored(), "ekfac"), id="influence-ekfac"),
    pytest.param(
        influence(wh.Factored(), wh.Approximation("ekfac", "empirical"), rough=True), id="influence-ekfac-empirical"
    ),
    pytest.param(
        influence(wh.Factored(), wh.Approximation("ekfac", layer_damping=0.1), rough=True),
        id="influence-ekfac-layer-damping",
    ),
    pytest.param(influence(wh.Factored(), ALL_SAMPLED), id="influence-sampled-gauss-newton"),
    pytest.param(influence(wh.Factored(), "block-diagonal"), id="influence-block-diagonal"),
    pytest.param(influence(wh.Factored(), "diagonal", rough=True), id="influence-diagonal"),
    pytest.param(influence(wh.Dense(), "empirical-fisher", rough=True), id="influence-empirical-fisher"),
    pytest.param(influence(wh.Arnoldi(100, 100, tolerance=1e-3)), id="influence-arnoldi"),
    pytest.param(influence(wh.Nystroem(100, tolerance=1e-3), "gauss-newton"), id="influence-nystroem"),
]
SAMPLED = [
    pytest.param(influence(wh.LiSSA(depth=30, batch=8, repeats=2, tolerance=0.9), samples=True), id="influence-lissa"),
]
CORRECTED = [
    pytest.param(corrected(wh.Dense()), id="leverage-dense"),
    pytest.param(corrected(wh.Eigen()), id="leverage-eigen"),
    pytest.param(corrected(wh.Dense(), "gauss-newton"), id="leverage-gauss-newton"),
]
BASELINES = [
    # a random number knows no gradient
    pytest.param(Method(wh.Random(seed=3), zero=False), id="random"),
    # the loss itself; it is 0 with the gradient for squared error, but that says nothing of other losses
    pytest.param(Method(wh.Loss(), zero=False), id="loss"),
    pytest.param(Method(wh.GradientNorm()), id="gradient-norm"),
    pytest.param(Method(wh.GradientDot()), id="gradient-dot"),
]


def embedded(method: AbstractAttributor, **options: Any) -> Method:
    """Distances between embeddings: an example of zero gradient lies somewhere all the same."""
    return Method(method, zero=False, one_input=getattr(method, "layer", None) == "input", **options)


EMBEDDED = [
    pytest.param(embedded(wh.Similarity()), id="similarity-cosine"),
    pytest.param(embedded(wh.Similarity("input", "euclidean")), id="similarity-euclidean"),
    pytest.param(embedded(wh.Similarity("input", "mahalanobis")), id="similarity-mahalanobis"),
    pytest.param(embedded(wh.Similarity("output")), id="similarity-cosine-output"),
    pytest.param(embedded(wh.Similarity("output", "mahalanobis")), id="similarity-mahalanobis-output"),
    pytest.param(embedded(wh.CentroidDistance("input", "cosine"), classes=True), id="centroid-distance-cosine"),
    pytest.param(embedded(wh.CentroidDistance(), classes=True), id="centroid-distance-mahalanobis"),
    pytest.param(
        embedded(wh.CentroidDistance("output", "mahalanobis", "pooled"), classes=True), id="centroid-distance-pooled"
    ),
    pytest.param(embedded(wh.CentroidRelationship(), classes=True), id="centroid-relationship-cosine"),
    pytest.param(
        embedded(wh.CentroidRelationship("output", "euclidean"), classes=True), id="centroid-relationship-euclidean"
    ),
    pytest.param(
        embedded(wh.CentroidRelationship("input", "mahalanobis"), classes=True), id="centroid-relationship-mahalanobis"
    ),
]


@final
@dataclass(frozen=True)
class OfTheModel(AbstractAttributor):
    """A method whose choices hang on the model, as checkpoints do: ``make(objective)`` gives it for each.

    ``shown``: one of its kind, whose name, sign and quantity are those of all.
    """

    make: Callable[[Objective], AbstractAttributor]
    shown: AbstractAttributor

    @property
    def name(self) -> str:
        return self.shown.name

    @property
    def sign(self) -> str:
        return self.shown.sign

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return self.shown.measured(task)

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        return self.make(objective).prepare(objective, mapper)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return self.make(objective).score(objective, prepared, queries, mapper)

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        return self.make(objective).self_score(objective, prepared, mapper)


def along(objective: Objective) -> list[tuple[Tensor, float]]:
    """Three points of a made-up training that ended at θ."""
    theta = objective.theta
    return [(0.5 * theta, 0.3), (0.9 * theta, 0.2), (theta, 0.1)]


def in_steps(objective: Objective) -> list[wh.Checkpoint]:
    return [wh.Checkpoint(point, rate, 7) for point, rate in along(objective)]


def recorded(objective: Objective) -> Recording:
    """Six made-up steps that ended at θ, on batches that hang on the ids and not on their order."""
    ids, generator = np.sort(objective.train.ids), np.random.default_rng(2)
    places = torch.linspace(0.7, 1.0, 7)[:, None].to(objective.theta) * objective.theta
    orders = [generator.permutation(ids) for _ in range(2)]
    batches = tuple(np.sort(part) for order in orders for part in np.array_split(order, 3))
    return Recording((0.3, 0.3, 0.2, 0.2, 0.1, 0.1), batches, places)


NOWHERE, NOTHING = torch.zeros(1), np.arange(0)


TRACED = [
    # a step on an example whose gradient is 0 at the last checkpoint may have moved the model at an earlier one
    pytest.param(Method(OfTheModel(lambda o: wh.TracIn(along(o)), wh.TracIn(NOWHERE)), zero=False), id="tracin"),
    pytest.param(
        Method(OfTheModel(lambda o: wh.TracIn(in_steps(o)), wh.TracIn([wh.Checkpoint(NOWHERE, 1.0, 7)])), zero=False),
        id="tracin-steps",
    ),
    pytest.param(Method(OfTheModel(lambda o: wh.TracIn(o.theta), wh.TracIn(NOWHERE))), id="tracin-one"),
]
PROJECTED = [
    pytest.param(Method(wh.TRAK(6, ridge=0.01, threshold=1e-3), certified=True, beyond=("dict", "poisson")), id="trak"),
    pytest.param(
        Method(
            OfTheModel(lambda o: wh.TRAK(6, along(o), "gaussian", 0.01, keep_features=False), wh.TRAK()),
            zero=False,
            certified=True,
            beyond=("dict", "poisson"),
        ),
        id="trak-ensemble",
    ),
]
LOW_RANK = [
    pytest.param(Method(wh.LoGra(2, "random", damping=0.1), certified=True, beyond=("bilinear",)), id="logra-random"),
    pytest.param(
        Method(wh.LoGra(3, "pca", "exact", joint=False, damping=0.1), certified=True, beyond=("bilinear",)),
        id="logra-pca",
    ),
]
SKETCHED = [
    pytest.param(Method(wh.InfluenceSketching(6, ridge=0.01), certified=True), id="sketching"),
    pytest.param(Method(wh.InfluenceSketching(40, "rademacher", ridge=0.1), certified=True), id="sketching-wide"),
]
UNROLLED = [
    # the change of a run's outcome: an example may have moved the model where its gradient was not yet 0
    pytest.param(
        Method(
            OfTheModel(lambda o: wh.SGDInfluence(recorded(o)), wh.SGDInfluence(Recording((1.0,), (NOTHING,), NOWHERE))),
            loss_units=True,
            zero=False,
            trained=True,
        ),
        id="sgd-influence",
    ),
]
NEAREST = [
    pytest.param(embedded(wh.KNNShapley(3), classes=True), id="knn-shapley"),
    pytest.param(embedded(wh.KNNShapley(4, "output", "cosine"), classes=True), id="knn-shapley-cosine"),
    pytest.param(embedded(wh.KNNShapley(2, "output", "mahalanobis"), classes=True), id="knn-shapley-mahalanobis"),
]
REPRESENTER = [
    # the last layer is fitted anew, and what had no gradient may then have one; bilinear has no linear last layer
    pytest.param(
        Method(wh.RepresenterPoints(), zero=False, certified=True, beyond=("bilinear",)), id="representer-points"
    ),
]


def relative(to: Any, base: AbstractAttributor) -> Method:
    # an example without gradient is 0/0, which rounding decides
    return Method(wh.RelatIF(base, to), zero=False, certified=True)


RELATIVE = [
    pytest.param(relative("parameters", wh.InfluenceFunction(wh.Dense(), 0.1)), id="relatif-parameters"),
    pytest.param(relative("loss", wh.InfluenceFunction(wh.Dense(), 0.1)), id="relatif-loss"),
    pytest.param(relative("parameters", wh.ApproximateLeaveOneOut(wh.Dense(), 0.1)), id="relatif-leverage"),
]
EXCHANGED = [
    pytest.param(Method(wh.DataInf(), loss_units=True, rough=True), id="datainf"),
    pytest.param(Method(wh.DataInf(layer_damping=0.1), loss_units=True, rough=True), id="datainf-damped"),
]
ATTRIBUTORS = [
    *INFLUENCE,
    *EXCHANGED,
    *SAMPLED,
    *CORRECTED,
    *BASELINES,
    *EMBEDDED,
    *TRACED,
    *PROJECTED,
    *LOW_RANK,
    *SKETCHED,
    *UNROLLED,
    *NEAREST,
    *REPRESENTER,
    *RELATIVE,
]


def word_for(curvature: Any) -> str:
    """The oracle's word for a method's curvature."""
    if isinstance(curvature, wh.Approximation):
        return f"{curvature.kind}:{curvature.fisher}:{curvature.layer_damping}"
    return curvature


def on(*names: str) -> list[Any]:
    """All rows of ATTRIBUTORS with each of these problems that they can take."""
    return [
        pytest.param(row.values[0], name, id=f"{row.id}-{name}")
        for row in ATTRIBUTORS
        for name in names
        if row.values[0].takes(name)
    ]


def where(claim: Callable[[Method], bool]) -> list[Any]:
    """The rows of ATTRIBUTORS of which a claim is made."""
    return [row for row in ATTRIBUTORS if claim(row.values[0])]

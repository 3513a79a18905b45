"""whence: find the training examples behind a prediction.

Public names are loaded when they are first used, so that ``import whence`` and the command line start quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.archive import load as load
    from whence.archive import save as save
    from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut as ApproximateLeaveOneOut
    from whence.attribution.baselines import GradientDot as GradientDot
    from whence.attribution.baselines import GradientNorm as GradientNorm
    from whence.attribution.baselines import Loss as Loss
    from whence.attribution.baselines import Random as Random
    from whence.attribution.centroid import CentroidDistance as CentroidDistance
    from whence.attribution.centroid import CentroidRelationship as CentroidRelationship
    from whence.attribution.influence import InfluenceFunction as InfluenceFunction
    from whence.attribution.similarity import Similarity as Similarity
    from whence.curvature.gauss_newton import GaussNewton as GaussNewton
    from whence.curvature.hessian import Hessian as Hessian
    from whence.evaluation.agreement import agreement as agreement
    from whence.examples import as_examples as as_examples
    from whence.execution.mappers import JoblibMapper as JoblibMapper
    from whence.mapping import SerialMapper as SerialMapper
    from whence.solvers.conjugate_gradient import ConjugateGradient as ConjugateGradient
    from whence.solvers.dense import Dense as Dense
    from whence.solvers.eigen import Eigen as Eigen
    from whence.solvers.lissa import LiSSA as LiSSA
    from whence.tasks import Classification as Classification
    from whence.tasks import CustomTask as CustomTask
    from whence.tasks import Regression as Regression

_WHERE = {
    "ApproximateLeaveOneOut": "whence.attribution.approximate_leave_one_out",
    "CentroidDistance": "whence.attribution.centroid",
    "CentroidRelationship": "whence.attribution.centroid",
    "Classification": "whence.tasks",
    "ConjugateGradient": "whence.solvers.conjugate_gradient",
    "CustomTask": "whence.tasks",
    "Dense": "whence.solvers.dense",
    "Eigen": "whence.solvers.eigen",
    "GaussNewton": "whence.curvature.gauss_newton",
    "GradientDot": "whence.attribution.baselines",
    "GradientNorm": "whence.attribution.baselines",
    "Hessian": "whence.curvature.hessian",
    "InfluenceFunction": "whence.attribution.influence",
    "JoblibMapper": "whence.execution.mappers",
    "LiSSA": "whence.solvers.lissa",
    "Loss": "whence.attribution.baselines",
    "Random": "whence.attribution.baselines",
    "Regression": "whence.tasks",
    "SerialMapper": "whence.mapping",
    "Similarity": "whence.attribution.similarity",
    "agreement": "whence.evaluation.agreement",
    "as_examples": "whence.examples",
    "load": "whence.archive",
    "save": "whence.archive",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])

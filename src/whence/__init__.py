"""whence: find the training examples behind a prediction.

Public names are loaded when they are first used, so that ``import whence`` and the command line start quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.accessor import load as load
    from whence.archive import save as save
    from whence.attribution.approximate_leave_one_out import ApproximateLeaveOneOut as ApproximateLeaveOneOut
    from whence.attribution.baselines import GradientDot as GradientDot
    from whence.attribution.baselines import GradientNorm as GradientNorm
    from whence.attribution.baselines import Loss as Loss
    from whence.attribution.baselines import Random as Random
    from whence.attribution.breakdown import breakdown as breakdown
    from whence.attribution.centroid import CentroidDistance as CentroidDistance
    from whence.attribution.centroid import CentroidRelationship as CentroidRelationship
    from whence.attribution.checkpoints import Checkpoint as Checkpoint
    from whence.attribution.datainf import DataInf as DataInf
    from whence.attribution.datamodels import Datamodels as Datamodels
    from whence.attribution.groups import GroupInfluence as GroupInfluence
    from whence.attribution.influence import InfluenceFunction as InfluenceFunction
    from whence.attribution.input_influence import input_influence as input_influence
    from whence.attribution.logra import LoGra as LoGra
    from whence.attribution.nearest import KNNShapley as KNNShapley
    from whence.attribution.relatif import RelatIF as RelatIF
    from whence.attribution.representer import RepresenterPoints as RepresenterPoints
    from whence.attribution.representer import representer_values as representer_values
    from whence.attribution.similarity import Similarity as Similarity
    from whence.attribution.sketching import InfluenceSketching as InfluenceSketching
    from whence.attribution.tracin import TracIn as TracIn
    from whence.attribution.trak import TRAK as TRAK
    from whence.attribution.unrolled import SGDInfluence as SGDInfluence
    from whence.curvature.blocks import BlockDiagonal as BlockDiagonal
    from whence.curvature.choice import Approximation as Approximation
    from whence.curvature.diagonal import DiagonalGaussNewton as DiagonalGaussNewton
    from whence.curvature.ekfac import EKFAC as EKFAC
    from whence.curvature.fisher import EmpiricalFisher as EmpiricalFisher
    from whence.curvature.gauss_newton import GaussNewton as GaussNewton
    from whence.curvature.hessian import Hessian as Hessian
    from whence.curvature.kfac import KFAC as KFAC
    from whence.curvature.sampled import SampledGaussNewton as SampledGaussNewton
    from whence.evaluation.agreement import agreement as agreement
    from whence.examples import as_examples as as_examples
    from whence.execution.mappers import JoblibMapper as JoblibMapper
    from whence.explorer.notebook import explore as explore
    from whence.mapping import SerialMapper as SerialMapper
    from whence.solvers.arnoldi import Arnoldi as Arnoldi
    from whence.solvers.conjugate_gradient import ConjugateGradient as ConjugateGradient
    from whence.solvers.dense import Dense as Dense
    from whence.solvers.eigen import Eigen as Eigen
    from whence.solvers.factored import Factored as Factored
    from whence.solvers.lissa import LiSSA as LiSSA
    from whence.solvers.nystroem import Nystroem as Nystroem
    from whence.sweep import damping_sweep as damping_sweep
    from whence.tasks import Classification as Classification
    from whence.tasks import CustomTask as CustomTask
    from whence.tasks import Regression as Regression

_WHERE = {
    "ApproximateLeaveOneOut": "whence.attribution.approximate_leave_one_out",
    "Approximation": "whence.curvature.choice",
    "Arnoldi": "whence.solvers.arnoldi",
    "BlockDiagonal": "whence.curvature.blocks",
    "CentroidDistance": "whence.attribution.centroid",
    "CentroidRelationship": "whence.attribution.centroid",
    "Checkpoint": "whence.attribution.checkpoints",
    "Classification": "whence.tasks",
    "ConjugateGradient": "whence.solvers.conjugate_gradient",
    "CustomTask": "whence.tasks",
    "Datamodels": "whence.attribution.datamodels",
    "DataInf": "whence.attribution.datainf",
    "Dense": "whence.solvers.dense",
    "DiagonalGaussNewton": "whence.curvature.diagonal",
    "EKFAC": "whence.curvature.ekfac",
    "Eigen": "whence.solvers.eigen",
    "EmpiricalFisher": "whence.curvature.fisher",
    "Factored": "whence.solvers.factored",
    "GaussNewton": "whence.curvature.gauss_newton",
    "GradientDot": "whence.attribution.baselines",
    "GradientNorm": "whence.attribution.baselines",
    "GroupInfluence": "whence.attribution.groups",
    "Hessian": "whence.curvature.hessian",
    "InfluenceFunction": "whence.attribution.influence",
    "InfluenceSketching": "whence.attribution.sketching",
    "JoblibMapper": "whence.execution.mappers",
    "KFAC": "whence.curvature.kfac",
    "KNNShapley": "whence.attribution.nearest",
    "LiSSA": "whence.solvers.lissa",
    "LoGra": "whence.attribution.logra",
    "Loss": "whence.attribution.baselines",
    "Nystroem": "whence.solvers.nystroem",
    "Random": "whence.attribution.baselines",
    "Regression": "whence.tasks",
    "RelatIF": "whence.attribution.relatif",
    "RepresenterPoints": "whence.attribution.representer",
    "SGDInfluence": "whence.attribution.unrolled",
    "SampledGaussNewton": "whence.curvature.sampled",
    "SerialMapper": "whence.mapping",
    "Similarity": "whence.attribution.similarity",
    "TRAK": "whence.attribution.trak",
    "TracIn": "whence.attribution.tracin",
    "agreement": "whence.evaluation.agreement",
    "as_examples": "whence.examples",
    "breakdown": "whence.attribution.breakdown",
    "damping_sweep": "whence.sweep",
    "explore": "whence.explorer.notebook",
    "input_influence": "whence.attribution.input_influence",
    "load": "whence.accessor",
    "representer_values": "whence.attribution.representer",
    "save": "whence.archive",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])

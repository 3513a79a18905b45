"""Which curvature a method uses: a name, a name with options, or an operator that was worked out before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

import numpy as np

from whence.curvature.blocks import BlockDiagonal
from whence.curvature.diagonal import DiagonalGaussNewton
from whence.curvature.draws import uniform
from whence.curvature.ekfac import EKFAC
from whence.curvature.fisher import EmpiricalFisher
from whence.curvature.gauss_newton import GaussNewton
from whence.curvature.hessian import Hessian
from whence.curvature.kfac import KFAC
from whence.curvature.layer_damping import check_layer_damping
from whence.curvature.operator import AbstractOperator, Matrix
from whence.curvature.output_gradients import Fisher, OutputGradients
from whence.curvature.sampled import SampledGaussNewton
from whence.objective import Objective

Name: TypeAlias = Literal[
    "hessian",
    "gauss-newton",
    "empirical-fisher",
    "sampled-gauss-newton",
    "kfac",
    "ekfac",
    "block-diagonal",
    "block-diagonal-hessian",
    "diagonal",
]
DRAWING = ("kfac", "ekfac", "diagonal")
BY_LAYER = ("kfac", "ekfac", "block-diagonal")


@final
@dataclass(frozen=True)
class Approximation:
    """A curvature by name with options, before the model is known: ``Approximation("ekfac", fisher="sampled")``.

    ``fisher``, ``samples``: of "kfac", "ekfac" and "diagonal" (:mod:`whence.curvature.output_gradients`).
    ``examples``: how many training examples it is estimated from, drawn by ``seed`` and id, instead of all; for
    "sampled-gauss-newton" drawn by how much curvature they carry, else uniformly, for a mean objective only.
    ``layer_damping``: of "kfac", "ekfac" and "block-diagonal": this fraction of the mean eigenvalue of each layer's
    block is added to it, beside the method's damping; parameters of no block get none.
    """

    kind: Name
    fisher: Fisher = "exact"
    samples: int = 1
    examples: int | None = None
    seed: int = 0
    layer_damping: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Name):
            raise ValueError(f"curvature must be one of {list(get_args(Name))}, not {self.kind!r}")
        OutputGradients(self.fisher, self.samples, self.seed)
        if self.fisher != "exact" and self.kind not in DRAWING:
            raise ValueError(f"fisher={self.fisher!r} is an option of {list(DRAWING)}, not of {self.kind!r}")
        if self.examples is not None and self.examples < 1:
            raise ValueError(f"examples must be at least 1, not {self.examples}")
        check_layer_damping(self.layer_damping)
        if self.layer_damping and self.kind not in BY_LAYER:
            raise ValueError(
                f"layer_damping is an option of {list(BY_LAYER)}, not of {self.kind!r}: use the method's own damping"
            )

    def of(self, objective: Objective) -> AbstractOperator:
        """The undamped curvature of an objective, penalty included."""
        if self.kind == "sampled-gauss-newton":
            return SampledGaussNewton(objective, self.examples, self.seed)
        if self.examples is not None and self.examples < objective.count:
            drawn = np.sort(np.argsort(uniform(objective.train.ids, self.seed)[:, 0], kind="stable")[: self.examples])
            objective = objective.sample(drawn)
        drawing = (self.fisher, self.samples, self.seed)
        if self.kind == "kfac":
            return KFAC(objective, *drawing, layer_damping=self.layer_damping)
        if self.kind == "ekfac":
            return EKFAC(objective, *drawing, layer_damping=self.layer_damping)
        if self.kind == "diagonal":
            return DiagonalGaussNewton(objective, *drawing)
        if self.kind == "block-diagonal":
            return BlockDiagonal(objective, layer_damping=self.layer_damping)
        if self.kind == "block-diagonal-hessian":
            return BlockDiagonal(objective, "hessian")
        if self.kind == "empirical-fisher":
            return EmpiricalFisher(objective)
        return Hessian(objective) if self.kind == "hessian" else GaussNewton(objective)


Curvature: TypeAlias = Name | Approximation | AbstractOperator


def operator_of(choice: Curvature, objective: Objective) -> AbstractOperator:
    """The undamped curvature of the objective, penalty included; raises ValueError for another name or model."""
    if isinstance(choice, AbstractOperator):
        if choice.size != len(objective.theta):
            raise ValueError(f"the curvature has {choice.size} parameters, the model {len(objective.theta)}")
        if isinstance(choice, Matrix) and choice.checkpoint not in (None, objective.checkpoint):
            raise ValueError("the curvature matrix was computed at another checkpoint; compute it anew")
        return choice
    if isinstance(choice, Approximation):
        return choice.of(objective)
    if choice not in get_args(Name):
        raise ValueError(
            f"curvature must be 'hessian', another of {list(get_args(Name))[1:]}, an Approximation or an operator, "
            f"not {choice!r}"
        )
    return Approximation(choice).of(objective)


def name_of(choice: Curvature) -> str:
    """The curvature in a word, for reports."""
    if isinstance(choice, str):
        return choice
    return choice.kind if isinstance(choice, Approximation) else type(choice).__name__

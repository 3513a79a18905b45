"""LoGra (Choe, Ahn, Bae et al. 2024, "What is your data worth to GPT?"): influence in a projection of each layer.

The gradient of a layer z = W a for one example is Σ_t g_t a_tᵀ over positions t. It is projected on both sides without
ever being formed (their Eq. 6),

    φ = vec Σ_t (Q_oᵀ g_t)(Q_iᵀ a_t)ᵀ,    Q_i [input, rank], Q_o [output, rank] with orthonormal columns,

a bias counts as one more input, 1. Then influence is worked out in the projected space, with the Fisher matrix there,

    score[q, i] = φ_q · (F + QᵀΛQ + damping·I)⁻¹ (φ_i − φ̄)/(n − 1),    F = w Σ_i φ φᵀ over all data

(a sum: no mean φ̄, no factor). As Q is orthonormal this is what influence would be if the parameters could move in that
space alone: at full rank, with the exact Fisher matrix, it is influence with Gauss-Newton curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, final, get_args

import numpy as np
import torch
from torch import Tensor

from whence.attribution import layer_projection
from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.certificate import certificate, joined
from whence.attribution.layer_projection import Pair
from whence.curvature.kronecker import Sites, sites_of
from whence.curvature.operator import Matrix
from whence.curvature.output_gradients import Fisher, OutputGradients
from whence.examples import Examples
from whence.gradients.functional import Of
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.results import solver_report
from whence.solvers.dense import LARGEST, Dense
from whence.solvers.solver import Solution, State
from whence.task import AbstractTask

Start: TypeAlias = Literal["pca", "random"]


@final
@dataclass(frozen=True)
class LoGra(AbstractAttributor):
    """``rank``: dimensions kept on each side of each layer; a side that is no larger is kept whole.

    ``start``: ``"pca"``, the directions of most variance of what enters and of what comes back (the factors of KFAC),
    or ``"random"``. ``fisher``: of which output gradients F is made, ``"empirical"`` as in the paper, ``"exact"`` or
    ``"sampled"`` (:mod:`whence.curvature.output_gradients`). ``joint``: one matrix over all layers, or one a layer as
    the paper has it. ``damping``: as for influence. Parameters that no plain linear, convolutional or embedding layer
    holds are left out, and ``notes["left_out"]`` names them.

    Raises ValueError for an impossible choice; when fitted, if no layer can be projected, or if the projected space
    has more dimensions than one matrix can take.
    """

    rank: int = 16
    start: Start = "pca"
    fisher: Fisher = "empirical"
    joint: bool = True
    damping: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, not {self.rank}")
        if self.start not in get_args(Start):
            raise ValueError(f"start must be 'pca' or 'random', not {self.start!r}")
        if not 0 <= self.damping < float("inf"):
            raise ValueError(f"damping must be finite and not negative, not {self.damping}")
        OutputGradients(self.fisher)

    @property
    def name(self) -> str:
        return "LoGra"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return f"{task.quantity} within a projection of each layer, by the Fisher matrix", task.measured_unit

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        sites = sites_of(objective)
        sites, left_out = Sites(sites.layers, ()), list(sites.others)
        if not sites.layers:
            raise ValueError(
                "LoGra projects plain linear, convolutional and embedding layers, and the model has none that are "
                "studied: use TRAK or InfluenceFunction."
            )
        pairs = self._pairs(objective, sites, mapper)
        shards = objective.train.shards(mapper.shards)
        features = torch.cat(mapper.concat(partial(layer_projection.features, objective, sites, pairs, "loss"), shards))
        blocks = self._blocks(pairs)
        grams = [features[:, block].double().T @ features[:, block].double() for block in blocks]
        if self.fisher != "empirical":
            drawn = OutputGradients(self.fisher, seed=self.seed)
            found = mapper.concat(partial(layer_projection.fisher, objective, sites, pairs, drawn, blocks), shards)
            grams = [torch.stack(pieces).sum(0) for pieces in zip(*found, strict=True)]
        penalties = [layer_projection.penalty(objective, *one) for one in zip(sites.layers, pairs, strict=True)]
        penalty: Tensor = torch.block_diag(*penalties)  # type: ignore[no-untyped-call]
        tensors, states = {"features": features}, []
        for number, (block, gram) in enumerate(zip(blocks, grams, strict=True)):
            matrix = objective.weight * gram + penalty[block, block] + self.damping * torch.eye(len(gram)).double()
            states.append(Dense(largest=LARGEST).prepare(Matrix(matrix)))
            tensors |= {f"{name} {number}": tensor for name, tensor in states[-1].tensors.items()}
        for number, (inputs, outputs) in enumerate(pairs):
            tensors |= {f"inputs {number}": inputs, f"outputs {number}": outputs}
        report = joined(
            solver_report(Dense().name, iterations=1, lambda_min=one.lambda_min, lambda_max=one.lambda_max)
            for one in states
        )
        return Prepared(tensors, report, {"dimension": features.shape[1], "left_out": left_out})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        asked = self._projected(objective, prepared, queries, "measure")
        solved, report = self._solve(prepared, asked.T)
        found = prepared.tensors["features"].double() @ solved
        if objective.mean:
            found = found - found.mean(0)
        return Scored(objective.removal * found.T, report)

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        own = prepared.tensors["features"].double()
        loss = objective.task.measure_kind == "loss"
        asked = own if loss else self._projected(objective, prepared, objective.train, "measure")
        solved, report = self._solve(prepared, (own - own.mean(0) if objective.mean else own).T)
        return Scored(objective.removal * (asked * solved.T).sum(1), report)

    def _projected(self, objective: Objective, prepared: Prepared, examples: Examples, of: Of) -> Tensor:
        sites, tensors = sites_of(objective), prepared.tensors
        pairs = [(tensors[f"inputs {k}"], tensors[f"outputs {k}"]) for k in range(len(sites.layers))]
        return layer_projection.features(objective, sites, pairs, of, examples).double()

    def _blocks(self, pairs: list[Pair]) -> list[slice]:
        sizes = [inputs.shape[1] * outputs.shape[1] for inputs, outputs in pairs]
        ends = np.cumsum(sizes).tolist()
        blocks = (
            [slice(0, ends[-1])]
            if self.joint
            else [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        )
        if max(block.stop - block.start for block in blocks) > LARGEST:
            remedy = "joint=False and a lower rank" if self.joint else "a lower rank"
            raise ValueError(f"the projected space has {ends[-1]} dimensions, a matrix takes {LARGEST}: use {remedy}")
        return blocks

    def _pairs(self, objective: Objective, sites: Sites, mapper: AbstractMapper) -> list[Pair]:
        if self.start == "random":
            return layer_projection.random(objective, sites, self.rank, self.seed)
        return layer_projection.principal(objective, sites, self.rank, mapper)

    def _solve(self, prepared: Prepared, v: Tensor) -> tuple[Tensor, dict[str, object]]:
        """The solution in all blocks [dimension, k], and its certificate."""
        found: list[Solution] = []
        number = start = 0
        report = prepared.solver
        while start < len(v):
            matrix = prepared.tensors[f"matrix {number}"]
            tensors = {"matrix": matrix, "factor": prepared.tensors[f"factor {number}"]}
            state = State(tensors, report["lambda_min"], report["lambda_max"])
            found.append(Dense().solve(Matrix(matrix), state, v[start : start + len(matrix)]))
            number, start = number + 1, start + len(matrix)
        return torch.cat([one.value for one in found]), joined(certificate(Dense().name, one) for one in found)

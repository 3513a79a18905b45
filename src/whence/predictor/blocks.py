"""Features of (query, training example) pairs from gradients: influence restricted to each layer.

For layer l, with the other layers held still,

    score_l[q, i] = ∇_l m_q · (G_l + δI)⁻¹ (∇_l ℓ_i − ∇_l L) / (n−1)     mean objective, L the mean loss
    score_l[q, i] = ∇_l m_q · (G_l + δI)⁻¹ ∇_l ℓ_i                       sum objective

G_l is the layer's diagonal block of the Gauss-Newton matrix of the objective, with the objective's penalty. The sum
over the layers is influence with the block-diagonal Gauss-Newton matrix, which K-FAC approximates (Martens and Grosse,
ICML 2015; for influence R. Grosse et al., "Studying large language model generalization with influence functions",
2023, section 2.2). Positive = helpful.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from whence import checks
from whence.curvature.gauss_newton import curvature_rows
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.gradients import rows
from whence.gradients.functional import mean_gradient
from whence.objective import Objective, objective_of
from whence.parameters import Layout
from whence.predictor.features import Features
from whence.solvers.dense import LARGEST, Dense
from whence.task import AbstractTask

LAYERWISE = "influence, layer by layer"
# The layer of parameters that the model holds itself, not one of its modules.
ROOT = "the model itself"
BATCH = 128


@torch.no_grad()
def block_features(
    task: AbstractTask,
    queries: Examples,
    train: Examples,
    whole: Examples | None = None,
    damping: float = 0.01,
) -> Features:
    """Influence within each layer, their sum and each layer's gradient norm, for every pair.

    ``train``: those that the pairs are formed with; ``whole``: the training set of the model, over which blocks and
    the mean gradient are taken (by default ``train``), n examples of it. ``damping``: δ, added to each block.

    Features, with L layers of p_l parameters: ``"influence within <layer>"`` (L, relative), the change of the query's
    measurement if the example is removed and this layer alone refitted, to first order (``docs/conventions.md``);
    ``"influence, layer by layer"`` (relative), their sum; ``"train gradient norm in <layer>"`` (L), ‖∇_l ℓ_i‖. A layer
    is a module that holds parameters itself, all of which form one block.

    Costs one pass over ``whole`` with a backward pass a rank of the loss' curvature, one factorisation a layer, and the
    gradients of queries and ``train``. Holds the blocks, Σ_l p_l² numbers of 8 bytes, the queries' gradients and 128
    examples' rows [128, parameter]; for modules that are not taken apart (``whence.gradients.rows``) 128 Jacobians.

    Raises ValueError for what :mod:`whence.checks` finds, no examples, fewer than two in ``whole``, a negative damping,
    a layer of more than 20,000 parameters, or a block that is singular (only without damping).
    """
    if not (len(queries) and len(train)):
        raise ValueError(f"{len(queries)} queries and {len(train)} training examples: give at least one of each.")
    o = objective_of(task, train if whole is None else whole)
    where = layers_of(o.task.layout)
    for examples, name in ((queries, "query"), (train, "training")):
        checks.check_data(o.task, o.theta, examples, name)
    way = rows.way_for(o.task, o.theta, o.train)
    solved = _solved(o, queries, where, way, damping)
    centre = mean_gradient(o)
    values = np.empty((len(queries), len(train), 2 * len(where) + 1), dtype=np.float32)
    for window, piece in rows.gradient_rows(o.task, o.theta, train, "loss", BATCH, way):
        own = piece.double()
        moved = own - centre
        within = torch.stack([o.removal * solved[:, s] @ moved[:, s].T for s in where.values()], 2)
        norms = torch.stack([own[:, s].norm(dim=1) for s in where.values()], 1)
        together = [within, within.sum(2, keepdim=True), norms.expand(len(queries), -1, -1)]
        values[:, window] = torch.cat(together, 2).cpu().numpy()
    relative = (*(f"influence within {layer}" for layer in where), LAYERWISE)
    return Features(values, (*relative, *(f"train gradient norm in {layer}" for layer in where)), relative)


def layers_of(layout: Layout) -> dict[str, slice]:
    """Where each layer's parameters lie in the vector: those whose names agree up to the last dot.

    A layout lists parameters module by module, so those of one module lie side by side.
    """
    found: dict[str, slice] = {}
    for name, part in layout.slices.items():
        layer = name.rpartition(".")[0] or ROOT
        found[layer] = slice(found.get(layer, part).start, part.stop)
    return found


def gauss_newton_blocks(objective: Objective, where: dict[str, slice], way: rows.Way) -> dict[str, Tensor]:
    """w Σ_i J_iᵀ A_i J_i + diag(λ), restricted to each layer: [p_l, p_l] in float64, w = 1/n or 1.

    Raises ValueError, before any pass, for a layer of more parameters than a dense solve takes.
    """
    o, sizes = objective, {layer: s.stop - s.start for layer, s in where.items()}
    large = {layer: size for layer, size in sizes.items() if size > LARGEST}
    if large:
        raise ValueError(
            f"a block for each of {large} parameters is too large, the limit is {LARGEST}: "
            "study the smaller layers only, with only=[...]."
        )
    blocks = {layer: torch.zeros(size, size, dtype=torch.float64) for layer, size in sizes.items()}
    for piece in curvature_rows(o.task, o.theta, o.train, way):
        for layer, s in where.items():
            part = piece[:, s].double().cpu()
            blocks[layer].addmm_(part.T, part)
    decay = o.decay.double().cpu()
    for layer, s in where.items():
        blocks[layer].mul_(o.weight).diagonal().add_(decay[s])
    return blocks


def _solved(objective: Objective, queries: Examples, where: dict[str, slice], way: rows.Way, damping: float) -> Tensor:
    """(G_l + δI)⁻¹ ∇_l m_q of all layers side by side [query, parameter]."""
    if not 0 <= damping < float("inf"):
        raise ValueError(f"damping must be finite and not negative, not {damping}")
    o, solver = objective, Dense()
    pieces = rows.gradient_rows(o.task, o.theta, queries, "measure", BATCH, way)
    solved = torch.cat([piece for _, piece in pieces]).double()
    blocks = gauss_newton_blocks(o, where, way)
    for layer, s in where.items():
        operator = Matrix(blocks.pop(layer)).damped(damping)
        solution = solver.solve(operator, solver.prepare(operator), solved[:, s].T.cpu())
        if not bool(np.all(solution.converged)):
            raise ValueError(f"the block of {layer} is too near to singular for its solve: raise the damping.")
        solved[:, s] = solution.value.T.to(solved)
    return solved

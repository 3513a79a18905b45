"""The effect of leaving out a group, in first order, second order, and by a Newton step on what stays.

Without the m examples R the objective's gradient at θ̂ changes by −g_R, g_R = c Σ_{i∈R} (∇ℓ_i − ∇L), c = 1/(n − m) for a
mean (a sum: c = 1 and ∇L = 0), and its Hessian from A to A + E, E = c (m ∇²L − Σ_{i∈R} ∇²ℓ_i) (a sum: −Σ ∇²ℓ_i), with
A = H + damping·I. What is left out moves the parameters by

    first order     Δ = A⁻¹ g_R                          Koh, Ang, Teo and Liang (NeurIPS 2019), section 2
    second order    Δ − A⁻¹ E Δ                          Basu, You and Feizi (ICML 2020), section 4
    Newton step     (A + E)⁻¹ g_R                        Koh et al. (2019), Eq. 2

First order is the sum of the members' influence, (n − 1)/(n − m) times the sum of their scores: it sees no member in
the company of the others. Second order is the first term of the Newton step's series in A⁻¹E, which diverges for large
groups; the step itself takes the whole group's leverage in, is exact for squared error of linear models, and is the
first step of the proximal refit. First and second order change the measurement by ∇m_q·Δ, as in the papers; after a
Newton step it is taken anew at θ̂ + Δ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal, TypeAlias, final, get_args

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from whence import results
from whence.curvature.choice import Curvature, operator_of
from whence.curvature.operator import AbstractOperator
from whence.examples import Examples, as_examples
from whence.gradients import functional, rows, tuning
from whence.gradients.labels import checked_labels, labels_of
from whence.mapping import AbstractMapper, SerialMapper
from whence.objective import Objective, objective_of
from whence.retraining.shared import removal_weight
from whence.solvers.automatic_damping import Damping, settled
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.solver import AbstractSolver, Solution, State
from whence.task import AbstractTask

Order: TypeAlias = Literal["first", "second", "newton"]


@final
@dataclass(frozen=True)
class GroupInfluence:
    """``order``: ``"first"``, ``"second"`` or ``"newton"``; ``solver``, ``damping``, ``curvature`` as for influence.

    With conjugate gradients one preconditioner serves all groups, and a Newton step costs a few Hessian products over
    the examples that stay; a direct solver factorises anew for each group.
    Raises ValueError for another order, and for an order beyond the first with a curvature that is no name: that of
    the examples that stay could not be worked out.
    """

    order: Order = "newton"
    solver: AbstractSolver = field(default_factory=ConjugateGradient)
    damping: Damping = 0.01
    curvature: Curvature = "hessian"

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {list(get_args(Order))}, not {self.order!r}")
        if self.order != "first" and not isinstance(self.curvature, str):
            raise ValueError(f"order {self.order!r} needs the curvature by name: 'hessian' or 'gauss-newton'")

    def fit(self, model: AbstractTask, train: Any, mapper: AbstractMapper | None = None) -> GroupExplainer:
        """Prepare for a trained model and its training set, as ``InfluenceFunction.fit`` does."""
        objective = tuning.tuned(objective_of(model, as_examples(train)))
        whole = operator_of(self.curvature, objective)
        operator, damping, _ = settled(self.damping, whole, self.solver, mapper or SerialMapper())
        state = self.solver.prepare(operator.damped(damping), mapper)
        return GroupExplainer(self, objective, state, damping, functional.mean_gradient(objective))


@final
@dataclass(frozen=True)
class GroupExplainer:
    """A :class:`GroupInfluence` prepared for one model; ``effect`` may be called many times."""

    method: GroupInfluence
    objective: Objective
    state: State
    damping: float
    mean: Tensor

    def effect(self, groups: Mapping[str, Sequence[Any]], queries: Any) -> xr.Dataset:
        """What leaving out each group does to each query: ``effect`` [removed, query, seed] in the form of a truth.

        ``groups``: a dict from a name to the ids that are left out together, as ``leave_out`` takes it, so that the
        prediction and its truth are laid on one another by name. ``residual`` and ``converged`` [removed] certify the
        solves, ``distance`` is ‖Δ‖. Raises KeyError for an id that is not there, ValueError for an empty group, one
        that leaves nothing, and for no groups.
        """
        o, asked = self.objective, as_examples(queries)
        labels = checked_labels(o, asked, "query")
        members = _members(o.train, groups)
        found = [self._change(member) for member in members]
        changes = torch.stack([solution.value[:, 0] for solution in found])
        member = np.zeros((len(groups), o.count), dtype=bool)
        for row, positions in enumerate(members):
            member[row, positions] = True
        variables = {
            "residual": ("removed", np.array([one.residual[0] for one in found])),
            "converged": ("removed", np.array([one.converged[0] for one in found])),
            "distance": (("removed", "seed"), changes.norm(dim=1, keepdim=True).numpy()),
        }
        about = labels, labels_of(o, o.train)
        effect = self._measured(asked, changes).numpy()[:, :, None]
        return results.truth(effect, member, np.array(list(groups)), about, self._attrs(found), variables)

    def _change(self, removed: npt.NDArray[np.int64]) -> Solution:
        """Δ [parameter, 1] of one group with its certificate."""
        o, solver = self.objective, self.method.solver
        part = o.train[removed]
        gradient = functional.summed(o.task, o.theta, part, batch_size=o.batch_size)[1].double()
        pull = (removal_weight(o, len(removed)) * (gradient - len(removed) * self.mean))[:, None]
        if self.method.order == "newton":
            rest = self._curvature(np.delete(np.arange(o.count), removed)).damped(self.damping)
            shared = isinstance(solver, ConjugateGradient)  # its state is a preconditioner, good for any group
            return solver.solve(rest, self.state if shared else solver.prepare(rest), pull)
        whole = operator_of(self.method.curvature, o).damped(self.damping)
        first = solver.solve(whole, self.state, pull)
        if self.method.order == "first":
            return first
        second = solver.solve(whole, self.state, self._moved_curvature(removed, first.value))
        residual, converged = np.maximum(first.residual, second.residual), first.converged & second.converged
        value = first.value - second.value
        return Solution(value, converged, residual, first.iterations + second.iterations)

    def _moved_curvature(self, removed: npt.NDArray[np.int64], v: Tensor) -> Tensor:
        """E v, from a product over all examples and one over the group."""
        o, m = self.objective, len(removed)
        own = self._curvature(removed).matmat(v.to(o.theta)).double()
        if not o.mean:
            return o.decay.double()[:, None] * v - own
        # the penalty is in both and drops out
        return m * removal_weight(o, m) * (self._curvature(np.arange(o.count)).matmat(v.to(o.theta)).double() - own)

    def _curvature(self, positions: npt.NDArray[np.int64]) -> AbstractOperator:
        return operator_of(self.method.curvature, self.objective.over(self.objective.train[positions]))

    def _measured(self, queries: Examples, changes: Tensor) -> Tensor:
        """The change of each query's measurement [removed, query]."""
        o = self.objective
        if self.method.order != "newton":
            asked = [piece for _, piece in rows.gradient_rows(o.task, o.theta, queries, "measure")]
            return changes.cpu() @ torch.cat(asked).double().cpu().T
        # an effect is a small difference of two measurements, so they are taken in float64
        task, theta = o.task.frozen(torch.float64), o.theta.double()
        before = functional.evaluate(task, theta, queries, "measure")
        return torch.stack(
            [functional.evaluate(task, theta + change, queries, "measure") - before for change in changes]
        )

    def _attrs(self, found: Sequence[Solution]) -> dict[str, Any]:
        task, order = self.objective.task, self.method.order
        return {
            "kind": f"predicted ({order if order == 'newton' else order + ' order'})",
            "quantity": task.quantity,
            "unit": task.measured_unit,
            "sign": results.SIGN,
            "damping": self.damping,
            "solver": results.solver_report(
                self.method.solver.name,
                all(bool(one.converged.all()) for one in found),
                max(float(one.residual.max()) for one in found),
                max(one.iterations for one in found),
                self.state.lambda_min,
                self.state.lambda_max,
            ),
            "task": task.describe(),
            "objective": task.objective,
            "checkpoint": self.objective.checkpoint,
            "precision": self.objective.precision,
            "version": version("whence"),
            "schema": results.SCHEMA,
        }


def _members(train: Examples, groups: Mapping[str, Sequence[Any]]) -> list[npt.NDArray[np.int64]]:
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError("no groups: give a dict from a name to the ids that are left out together")
    found = [np.unique(train.positions(np.atleast_1d(ids))) for ids in groups.values()]
    for name, positions in zip(groups, found, strict=True):
        if not 0 < len(positions) < len(train):
            raise ValueError(f"the group {name!r} holds {len(positions)} of {len(train)} examples; leave out some")
    return found

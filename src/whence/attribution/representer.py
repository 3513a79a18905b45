"""Representer points (Yeh, Kim, Yen and Ravikumar, NeurIPS 2018): a prediction as a sum over training examples.

Where the last layer z = W f + b is a minimum of the objective with its penalty ½λ‖W‖², its gradient there is zero, so

    W = Σ_i α_i f_iᵀ,    α_i = −(w/λ) ∂ℓ_i/∂z_i,    W f_q = Σ_i α_i (f_i·f_q)                their Theorem 3.1

with f_i the input of the last layer [feature], α_i [output] and w = 1/n (mean) or 1 (sum). Without penalty b is no sum
over examples and stays as it is; with one it is Σ_i −(w/λ_b) ∂ℓ_i/∂z_i. The score says what the measurement would gain
if the term of i were taken out of the query's output,

    score[q, i] = −∂m_q/∂z_q · (α_i (f_i·f_q) [+ the bias' part])

to first order: with the loss as measurement positive = helpful, and ∂m_q/∂z_q = −e_y gives the paper's α_{iy} f_i·f_q.
Nothing is refitted without i: it is a part of the output, not the effect of a removal.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, final

import torch
import xarray as xr
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.attribution.explainer import Explainer
from whence.examples import Examples, as_examples
from whence.gradients import functional, rows
from whence.gradients.watch import gathered, output_layer
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.parameters import layout_of
from whence.results import solver_report
from whence.retraining.newton import Newton
from whence.retraining.refit import Trained
from whence.solvers.dense import LARGEST
from whence.task import AbstractTask

NAME = "Newton on the last layer"
NO_SUM = (
    "the model's output is not that of a linear layer over features [batch, feature] which is used once and "
    "studied, so it is no sum over training examples: use InfluenceFunction or Similarity."
)


@final
@dataclass(frozen=True)
class RepresenterPoints(AbstractAttributor):
    """``strength``: λ of the last layer's L2 penalty; None: the task's own.

    The decomposition holds at a minimum in the last layer only. It is fitted to one, from where it is and with all
    other layers as they are; the notes of the result say how far the model was from it: ``residual_before``, the part
    of λW that was no sum over examples, ``moved``, how far the last layer went relative to its size, and
    ``output_change``, the largest change of a training output. The solver's report certifies ‖λW + w Σ ∂ℓ_i/∂z_i f_iᵀ‖
    relative to ‖λW‖ afterwards.

    :func:`representer_values` gives the terms themselves. Raises ValueError, when fitted, for a model whose output is
    not that of a linear layer, and where there is no penalty on it.
    """

    strength: float | None = None
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if self.strength is not None and not self.strength > 0:
            raise ValueError(f"strength must be positive, not {self.strength}: without a penalty W is no sum")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must lie between 0 and 1, not {self.tolerance}")

    @property
    def name(self) -> str:
        return "representer points"

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        return f"{task.quantity} without the example's term of the last layer (first order)", task.measured_unit

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        prefix = _last_layer(objective)
        entered = _features(objective, prefix, objective.train)
        head = self._head(objective, prefix, entered)
        count = len(head.task.module.weight.reshape(-1))  # type: ignore[operator]
        found, evaluations = self._fitted(head, count)
        there = head.at(found.theta)
        before, after = (functional.outputs(head.task, theta, head.train) for theta in (head.theta, found.theta))
        batch = head.train.take(slice(None))
        slopes = rows.output_gradient(head.task, after, batch, "loss").reshape(len(after), -1)
        biased = count < len(head.theta)
        penalties = {"weight": float(head.decay[0]), "bias": float(head.decay[-1]) if biased else 0.0}
        report = solver_report(NAME, found.converged, _unexplained(there, count), evaluations)
        notes = {
            "layer": prefix,
            "penalties": penalties,
            "residual_before": _unexplained(head, count),
            "moved": float((found.theta - head.theta).norm() / head.theta.norm()),
            "output_change": float((after - before).abs().max()),
        }
        return Prepared({"features": entered, "slopes": slopes, "theta": found.theta}, report, notes)

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        output, kernel = self._asked(objective, prepared, queries)
        asked = rows.output_gradient(objective.task, output, queries.take(slice(None)), "measure")
        slopes = prepared.tensors["slopes"]
        return Scored(objective.weight * (asked.reshape(len(asked), -1) @ slopes.T) * kernel, prepared.solver)

    def _fitted(self, head: Objective, count: int) -> tuple[Trained, int]:
        """The minimum of the last layer, and the gradients it took; ‖λW‖ is known there only, so in up to four goes."""
        found, evaluations = Trained(head.theta, 0.0, 0.0, True), 0
        for _ in range(4):
            scale = float((head.decay[:count] * found.theta[:count]).norm())
            found = Newton(tolerance=self.tolerance * scale).train(head.at(found.theta))
            evaluations += int(found.evaluations)
            if not found.converged or _unexplained(head.at(found.theta), count) <= self.tolerance:
                break
        return found, evaluations

    def _asked(self, objective: Objective, prepared: Prepared, queries: Examples) -> tuple[Tensor, Tensor]:
        """The outputs of queries by the fitted last layer, and f_i·f_q/λ + 1/λ_b (where there is such a penalty)."""
        entered = _features(objective, prepared.notes["layer"], queries)
        head = self._head(objective, prepared.notes["layer"], entered, queries)
        penalties = prepared.notes["penalties"]
        kernel = entered @ prepared.tensors["features"].T / penalties["weight"]
        kernel = kernel + (1 / penalties["bias"] if penalties["bias"] else 0.0)
        return functional.outputs(head.task, prepared.tensors["theta"], head.train), kernel

    def _head(self, objective: Objective, prefix: str, entered: Tensor, examples: Examples | None = None) -> Objective:
        """The last layer alone as a model of its inputs [n, feature], in float64, with the penalty it has."""
        task, layout = copy.copy(objective.task), objective.task.layout
        task.module = copy.deepcopy(objective.task.module.get_submodule(prefix)).double()
        full = {name: f"{prefix}.{name}" if prefix else name for name in ("weight", "bias")}
        studied = [name for name, whole in full.items() if whole in layout.names]
        task.module.requires_grad_(True)
        task.layout = layout_of(task.module, studied)
        task.coefficients = torch.cat([self._penalty(objective, full[name]) for name in studied])
        named = layout.unflatten(objective.theta)
        theta = torch.cat([named[full[name]].reshape(-1) for name in studied]).double()
        targets = (objective.train if examples is None else examples).targets()
        return Objective(task, as_examples((entered, targets)), theta, objective.checkpoint)

    def _penalty(self, objective: Objective, name: str) -> Tensor:
        """λ of each entry of a parameter; raises ValueError unless all have one, positive for the weight."""
        own = objective.decay.double()[objective.task.layout.slices[name]]
        given = self.strength is not None and name.endswith("weight")
        strengths = torch.full_like(own, self.strength) if given else own  # type: ignore[arg-type]
        if bool((strengths != strengths[0]).any()):
            raise ValueError(f"the entries of {name} have different penalties; give RepresenterPoints(strength=...)")
        if name.endswith("weight") and float(strengths[0]) == 0:
            raise ValueError(
                f"{name} has no L2 penalty, so it is no sum over training examples: give the weight_decay it was "
                "trained with, or RepresenterPoints(strength=...), which fits the last layer anew with that penalty."
            )
        return strengths


def representer_values(explainer: Explainer, queries: Any) -> xr.DataArray:
    """The terms α_i (f_i·f_q) of each output [query, train, output]; over train they sum to W f_q.

    Positive values are excitatory for the output, negative ones inhibitory (section 3). Raises TypeError for the
    explainer of another method.
    """
    method, objective, prepared = explainer.attributor, explainer.objective, explainer.prepared
    if not isinstance(method, RepresenterPoints):
        raise TypeError(f"representer values are of RepresenterPoints, not of {method.name}")
    examples = as_examples(queries)
    kernel = method._asked(objective, prepared, examples)[1]
    values = -objective.weight * kernel[:, :, None] * prepared.tensors["slopes"]
    return xr.DataArray(
        values.cpu().numpy(),
        dims=("query", "train", "output"),
        coords={"query": examples.ids, "train": objective.train.ids},
        name="representer_value",
        attrs={"layer": prepared.notes["layer"], "solver": dict(prepared.solver), **explainer.prepared.notes},
    )


def _last_layer(objective: Objective) -> str:
    """The name of the linear layer that puts out what the model does; raises ValueError if there is none."""
    prefix = output_layer(objective.task, objective.theta, objective.train.take(slice(0, 2)))
    if prefix is None:
        raise ValueError(NO_SUM)
    size = sum(parameter.numel() for parameter in objective.task.module.get_submodule(prefix).parameters())
    if size > LARGEST:
        raise ValueError(f"the last layer has {size} parameters; representer points take up to {LARGEST}")
    return prefix


def _features(objective: Objective, prefix: str, examples: Examples) -> Tensor:
    """What enters the last layer for each example [n, feature], in float64; raises ValueError if not of each."""
    found = gathered(objective.task, objective.theta, prefix, examples)
    if found is None:
        raise ValueError(NO_SUM)
    return found[0]


def _unexplained(head: Objective, count: int) -> float:
    """‖λW + w Σ ∂ℓ_i/∂z_i f_iᵀ‖ / ‖λW‖: the part of the weight that is no sum over examples."""
    gradient = functional.evaluate_objective(head, head.theta).gradient[:count]
    return float(gradient.norm() / (head.decay[:count] * head.theta[:count]).norm())

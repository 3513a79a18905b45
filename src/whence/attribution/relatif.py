"""RelatIF (Barshan, Brunet and Dziugaite, AISTATS 2020): influence relative to what an example does to everything.

    score[q, i] = influence[q, i] / ‖Δθ_i‖               relative to the parameters (their θ-RelatIF)
    score[q, i] = influence[q, i] / √(g_i·Δθ_i)          relative to the loss (their ℓ-RelatIF)

Δθ_i is the change of the parameters that removing i causes, H⁻¹g_i/(n − 1) for influence, and g_i = ∇ℓ_i − ∇L the
gradient that causes it. Outliers, which are influential for every query, no longer head every list; what remains are
examples that matter to this query. The paper's denominators are ‖H⁻¹g_i‖ and √(g_iᵀH⁻¹g_i); these differ from them by
a factor that is the same for all examples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor

from whence.attribution.answer import Prepared, Scored
from whence.attribution.attributor import AbstractAttributor
from whence.examples import Examples
from whence.gradients import rows
from whence.gradients.functional import mean_gradient
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.task import AbstractTask

To: TypeAlias = Literal["parameters", "loss"]
CHUNK = 256


@final
@dataclass(frozen=True)
class RelatIF(AbstractAttributor):
    """``base``: a method that predicts changes of the parameters, such as ``InfluenceFunction(Dense())``.

    ``to``: ``"parameters"`` or ``"loss"``. Fitting takes a solve a training example, so the base's solver should be a
    direct one. An example that changes nothing scores 0.
    Raises TypeError for a base that predicts no change of the parameters, ValueError for another ``to``.
    """

    base: AbstractAttributor
    to: To = "parameters"

    def __post_init__(self) -> None:
        if not isinstance(self.base, AbstractAttributor):
            raise TypeError(f"base must be a method such as InfluenceFunction(), not {type(self.base).__name__}")
        if type(self.base).parameter_change is AbstractAttributor.parameter_change:
            raise TypeError(f"{self.base.name} predicts no change of the parameters; use InfluenceFunction")
        if self.to not in ("parameters", "loss"):
            raise ValueError(f"to must be 'parameters' or 'loss', not {self.to!r}")

    @property
    def name(self) -> str:
        return f"{self.base.name} relative to {'the parameters' if self.to == 'parameters' else 'the loss'}"

    @property
    def damping(self) -> Any:
        return getattr(self.base, "damping", None)

    @property
    def many_passes(self) -> bool:
        return True

    def measured(self, task: AbstractTask) -> tuple[str, str]:
        quantity, unit = self.base.measured(task)
        if self.to == "parameters":
            return f"{quantity} per unit of change in the parameters", f"{unit} per parameter unit"
        return f"{quantity} relative to the example's own pull", f"{unit} per square root of {task.unit}"

    def prepare(self, objective: Objective, mapper: AbstractMapper) -> Prepared:
        inner = self.base.prepare(objective, mapper)
        shards = objective.train.shards(max(mapper.shards, -(-objective.count // CHUNK)))
        mean = mean_gradient(objective)
        sizes = torch.cat([self._sizes(objective, inner, mean, shard) for shard in shards])
        return replace(inner, tensors={**inner.tensors, "sizes": sizes})

    def score(self, objective: Objective, prepared: Prepared, queries: Examples, mapper: AbstractMapper) -> Scored:
        return _divided(self.base.score(objective, _inner(prepared), queries, mapper), prepared)

    def self_score(self, objective: Objective, prepared: Prepared, mapper: AbstractMapper) -> Scored:
        return _divided(self.base.self_score(objective, _inner(prepared), mapper), prepared)

    def _sizes(self, objective: Objective, inner: Prepared, mean: Tensor, shard: Examples) -> Tensor:
        change = self.base.parameter_change(objective, inner, shard).double()
        if self.to == "parameters":
            length: Tensor = change.norm(dim=1)
            return length
        own = torch.cat([piece for _, piece in rows.gradient_rows(objective.task, objective.theta, shard)]).double()
        pull: Tensor = ((own - mean) * change).sum(1)
        return pull.clamp(min=0).sqrt()


def _inner(prepared: Prepared) -> Prepared:
    return replace(prepared, tensors={name: value for name, value in prepared.tensors.items() if name != "sizes"})


def _divided(scored: Scored, prepared: Prepared) -> Scored:
    sizes = prepared.tensors["sizes"]
    return replace(scored, values=torch.where(sizes > 0, scored.values / sizes, 0.0))

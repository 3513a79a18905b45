"""The question: what training minimised (loss and L2 penalty) and what is asked of a query (the measurement)."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call

from whence import penalty
from whence.batch import Batch
from whence.parameters import Layout, layout_of, vector_of

Measure: TypeAlias = str | Callable[[Tensor, Batch], Tensor]
Reduction: TypeAlias = Literal["mean", "sum"]


class AbstractTask(ABC):
    """A trained module together with the objective it was trained on.

    ``module``: a trained network. Its mode is taken as it is, so call ``module.eval()`` first.
    ``weight_decay``: the L2 penalty ½·Σ λ_j θ_j² of the objective: a number (for weights: parameters of two or more
    dimensions, not biases), a dict from parameter names to numbers, or the optimizer that trained the module.
    ``objective``: ``"mean"`` (mean loss + penalty) or ``"sum"`` (sum of losses + penalty).
    ``measure``: what is asked of a query: ``"loss"``, another name that the task knows, or a function
    ``(output, batch) -> [batch]`` of one's own.
    ``only``: prefixes of parameter names, if not all trainable parameters are studied.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    measures: ClassVar[tuple[str, ...]]
    output_only: ClassVar[bool] = False
    """Whether loss and named measures look at output and targets alone, and ``predict`` is as it is here."""

    def __init__(
        self,
        module: nn.Module,
        *,
        weight_decay: penalty.WeightDecay = 0.0,
        objective: Reduction = "mean",
        measure: Measure = "loss",
        only: Iterable[str] | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"a task needs a torch.nn.Module, not {type(module).__name__}")
        if objective not in ("mean", "sum"):
            raise ValueError(f"objective must be 'mean' or 'sum', not {objective!r}")
        if not callable(measure) and measure not in self.measures:
            raise ValueError(f"measure must be one of {list(self.measures)} or a function, not {measure!r}")
        self.module = module
        self.layout: Layout = layout_of(module, only)
        self.coefficients = penalty.coefficients(module, self.layout, weight_decay)
        self.objective: Reduction = objective
        self.measure_kind = measure

    @property
    def quantity(self) -> str:
        """The name of what a score states: the change of the measurement."""
        kind = self.measure_kind
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", type(kind).__name__)
        return f"change in {name}"

    @property
    def measured_unit(self) -> str:
        """The unit of a change of the measurement."""
        return self.unit if self.measure_kind == "loss" else "measurement units"

    def parameters(self) -> Tensor:
        """A copy of the module's studied parameters [parameter]; raises ValueError on NaN or infinity."""
        return vector_of(self.module, self.layout)

    def decay(self, like: Tensor) -> Tensor:
        """The penalty's coefficients λ [parameter] in the type and on the device of ``like``."""
        return self.coefficients.to(like)

    def frozen(self, dtype: torch.dtype | None = None) -> Self:
        """The same task over a copy of the module, so that later training cannot change what was fitted."""
        twin = copy.copy(self)
        # parameters that are not studied would else leave a graph on every output
        twin.module = copy.deepcopy(self.module).requires_grad_(False)
        if dtype is not None:
            twin.module = twin.module.to(dtype)
        return twin

    def with_measure(self, measure: Measure) -> Self:
        """The same task with another measurement."""
        if not callable(measure) and measure not in self.measures:
            raise ValueError(f"measure must be one of {list(self.measures)} or a function, not {measure!r}")
        twin = copy.copy(self)
        twin.measure_kind = measure
        return twin

    def predict(self, parameters: Tensor, batch: Batch) -> Tensor:
        """The module's output [batch, ...] at ``parameters`` [parameter]."""
        return self.predict_named(self.layout.unflatten(parameters), batch)

    def predict_named(self, parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """The same with the parameters by name, for what is differentiated one parameter at a time."""
        like = next(iter(parameters.values()))
        batch = batch.to(like.dtype, like.device)
        output = functional_call(self.module, dict(parameters), *batch.arguments)
        output = getattr(output, "logits", output)
        if not isinstance(output, Tensor):
            raise TypeError(
                f"the model returned {type(output).__name__}, not a tensor or an object with .logits: "
                "wrap it in a module that returns the output tensor."
            )
        return output

    def measure(self, output: Tensor, batch: Batch) -> Tensor:
        """What is asked, per example [batch]."""
        kind = self.measure_kind
        batch = batch.to(output.dtype, output.device)
        if callable(kind):
            value = kind(output, batch)
            if value.shape != (len(batch),):
                raise ValueError(
                    f"the measurement returned shape {tuple(value.shape)} for {len(batch)} examples: "
                    "it must return one number an example, not a mean."
                )
            return value
        return self.loss(output, batch) if kind == "loss" else self.named_measure(kind, output, batch)

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The training loss per example [batch], without the penalty."""

    @abstractmethod
    def named_measure(self, name: str, output: Tensor, batch: Batch) -> Tensor:
        """One of ``measures`` other than the loss, per example [batch]."""

    @abstractmethod
    def curvature_root(self, output: Tensor, batch: Batch) -> Tensor:
        """R [batch, output, rank] with R Rᵀ the Hessian of the loss in the output (positive semi-definite)."""

    @abstractmethod
    def prediction(self, output: Tensor) -> npt.NDArray[np.generic]:
        """What the model says, as it is shown to a person [batch]."""

    @abstractmethod
    def check(self, output: Tensor, batch: Batch) -> None:
        """Raise ValueError if the output's shape or the targets do not fit the loss."""

    def describe(self) -> dict[str, Any]:
        """The task in words, for the attributes of results."""
        return {
            "name": self.name,
            "parameters": self.layout.size,
            "penalised": int((self.coefficients != 0).sum()),
            "weight_decay": sorted(set(self.coefficients[self.coefficients != 0].tolist())),
        }

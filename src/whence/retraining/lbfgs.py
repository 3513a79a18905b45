"""scikit-learn's L-BFGS for softmax regression, as the thesis trained it: a recipe for linear classifiers.

scikit-learn minimises C·Σ w_i ℓ_i + ½‖W‖². Our mean objective is Σ w_i ℓ_i/Σ w_i + ½λ‖W‖², so C = 1/(λ Σ w_i); for a
sum objective C = 1/λ. Removal therefore changes C, as in Koh and Liang's code (``C_minus_one``). With two classes
scikit-learn fits one row u for the difference of the logits; the softmax rows are ±u/2, and ½λ·2‖u/2‖² = ¼λ‖u‖²
makes its C twice as large.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from whence.objective import Objective
from whence.retraining.refit import AbstractRecipe, Trained, gradient_norm
from whence.tasks import Classification


@final
@dataclass(frozen=True)
class LBFGS(AbstractRecipe):
    """``tolerance`` and ``max_iterations`` of ``sklearn.linear_model.LogisticRegression``; always from zero weights.

    Raises ValueError for a model that is not one ``nn.Linear``, another task, or an objective without a uniform
    penalty on the weights.
    """

    tolerance: float = 1e-8
    max_iterations: int = 1000

    def train(
        self,
        objective: Objective,
        weights: Tensor | None = None,
        seed: int = 0,
        state: Mapping[str, Tensor] | None = None,
    ) -> Trained:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        layer, strength = _linear(objective)
        batch = objective.train.take(slice(0, objective.count))
        x, y = batch.inputs.reshape(len(batch), -1).double().numpy(), batch.targets.numpy()
        w = np.ones(len(y)) if weights is None else weights.double().numpy()
        kept = w > 0
        if len(np.unique(y[kept])) != layer.out_features:
            raise ValueError("a class has no example left: the refitted model would have fewer outputs")
        c = 1.0 / (strength * (w.sum() if objective.mean else 1.0))
        two = layer.out_features == 2
        model = LogisticRegression(
            C=2 * c if two else c,
            tol=self.tolerance,
            max_iter=self.max_iterations,
            fit_intercept=layer.bias is not None,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x[kept], y[kept], sample_weight=w[kept])
        rows, bias = model.coef_, model.intercept_
        if two:
            rows, bias = np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2
        named = {"weight": torch.from_numpy(rows), "bias": torch.from_numpy(np.atleast_1d(bias))}
        theta = objective.task.layout.flatten({name: named[name] for name in objective.task.layout.names})
        theta = theta.to(objective.theta)
        stopped = any(issubclass(one.category, ConvergenceWarning) for one in caught)
        norm = gradient_norm(objective, theta, weights)
        return Trained(theta, norm, float(np.max(model.n_iter_)), not stopped)


def _linear(objective: Objective) -> tuple[nn.Linear, float]:
    task, module = objective.task, objective.task.module
    if not isinstance(module, nn.Linear) or not isinstance(task, Classification):
        raise ValueError("this recipe trains a Classification task over one nn.Linear; use Adam or Newton")
    if module.bias is not None and "bias" not in task.layout.names:
        raise ValueError("this recipe fits the bias too, but it is not among the studied parameters; use Newton")
    where = task.layout.slices.get("weight")
    strengths = set(task.coefficients[where].tolist()) if where else set()
    others = task.coefficients.sum() - (task.coefficients[where].sum() if where else 0.0)
    if len(strengths) != 1 or min(strengths) <= 0 or float(others) != 0.0:
        raise ValueError("scikit-learn's L-BFGS needs one positive weight_decay on all weights and none on the bias")
    return module, strengths.pop()

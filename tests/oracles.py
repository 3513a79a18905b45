"""Slow and obvious: loops, dense matrices and textbook formulas, against which everything fast is judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.optimize
import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from whence.batch import Batch
from whence.examples import Examples
from whence.objective import Objective
from whence.task import AbstractTask

Curvature = str


def one(examples: Examples, position: int) -> Batch:
    return examples.take(np.array([position]))


def value(task: AbstractTask, theta: Tensor, examples: Examples, position: int, of: str = "loss") -> Tensor:
    """The loss or the measurement of one example, alone in its batch."""
    batch = one(examples, position).to(theta.dtype, theta.device)
    output = task.predict(theta, batch)
    return (task.loss(output, batch) if of == "loss" else task.measure(output, batch))[0]


def total(objective: Objective, theta: Tensor, weights: Tensor | None = None) -> Tensor:
    """F(θ) over all examples at once; with weights Σ w ℓ / Σ w (mean) or Σ w ℓ (sum), and the penalty."""
    weights = torch.ones(objective.count, dtype=torch.float64) if weights is None else weights
    task, batch = objective.task, objective.train.take(slice(None))
    losses = (weights * task.loss(task.predict(theta, batch), batch)).sum()
    scale = 1 / weights.sum() if task.objective == "mean" else 1.0
    return scale * losses + 0.5 * (task.coefficients * theta.square()).sum()


def gradient(fn: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    point = theta.detach().clone().requires_grad_(True)
    found = torch.autograd.grad(fn(point), point)[0]
    return found.detach()


def central_differences(fn: Callable[[Tensor], Tensor], theta: Tensor, step: float = 1e-5) -> Tensor:
    """(f(θ + h e_j) − f(θ − h e_j)) / 2h for each j, stacked; of numbers a gradient, of gradients a Hessian."""
    columns = []
    for j in range(len(theta)):
        unit = torch.zeros_like(theta)
        unit[j] = step
        columns.append((fn(theta + unit) - fn(theta - unit)) / (2 * step))
    return torch.stack(columns).detach()


def example_gradients(task: AbstractTask, theta: Tensor, examples: Examples, of: str = "loss") -> Tensor:
    """[n, parameter], by one backward pass an example."""
    rows = [gradient(lambda t, i=i: value(task, t, examples, i, of), theta) for i in range(len(examples))]
    return torch.stack(rows)


def example_jacobians(task: AbstractTask, theta: Tensor, examples: Examples) -> Tensor:
    """[n, output, parameter], example by example."""
    return torch.stack(
        [jacobian(lambda t, i=i: task.predict(t, one(examples, i)).reshape(-1), theta) for i in range(len(examples))]
    )


def output_curvature(task: AbstractTask, theta: Tensor, examples: Examples, position: int) -> Tensor:
    """The Hessian of one example's loss in its output [output, output]."""
    batch = one(examples, position)
    output = task.predict(theta, batch).detach()
    flat = hessian(lambda f: task.loss(f.reshape(output.shape), batch)[0], output.reshape(-1))
    return flat


def objective_hessian(objective: Objective) -> Tensor:
    return hessian(lambda theta: total(objective, theta), objective.theta)


def gauss_newton(objective: Objective) -> Tensor:
    """w Σ JᵀAJ + diag λ, example by example."""
    found = torch.diag(objective.task.coefficients)
    weight = 1 / objective.count if objective.mean else 1.0
    for i, j in enumerate(example_jacobians(objective.task, objective.theta, objective.train)):
        found = found + weight * j.T @ output_curvature(objective.task, objective.theta, objective.train, i) @ j
    return found


def curvature(objective: Objective, kind: Curvature) -> Tensor:
    return objective_hessian(objective) if kind == "hessian" else gauss_newton(objective)


def influence_changes(objective: Objective, kind: Curvature, damping: float) -> Tensor:
    """θ₋ᵢ − θ to first order [train, parameter], by an explicit inverse."""
    own = example_gradients(objective.task, objective.theta, objective.train)
    inverse = torch.linalg.inv(curvature(objective, kind) + damping * torch.eye(len(objective.theta)).double())
    rows = []
    for g in own:
        step = (g - own.mean(0)) / (objective.count - 1) if objective.mean else g
        rows.append(inverse @ step)
    return torch.stack(rows)


def influence(objective: Objective, queries: Examples, kind: Curvature, damping: float) -> Tensor:
    """Scores [query, train] by loops."""
    changes = influence_changes(objective, kind, damping)
    asked = example_gradients(objective.task, objective.theta, queries, "measure")
    return torch.stack([torch.stack([q @ change for change in changes]) for q in asked])


def newton_changes(objective: Objective, kind: Curvature, damping: float) -> Tensor:
    """One Newton step on the objective without i, by a matrix of its own for each i [train, parameter]."""
    task, theta, n = objective.task, objective.theta, objective.count
    own = example_gradients(task, theta, objective.train)
    jacobians = example_jacobians(task, theta, objective.train)
    decay = torch.diag(task.coefficients)
    whole = curvature(objective, kind) - decay
    s, c = (n / (n - 1), 1 / (n - 1)) if objective.mean else (1.0, 1.0)
    rows = []
    for i in range(n):
        mine = jacobians[i].T @ output_curvature(task, theta, objective.train, i) @ jacobians[i]
        matrix = s * whole - c * mine + decay + damping * torch.eye(len(theta)).double()
        right = c * (own[i] - own.mean(0)) if objective.mean else own[i]
        rows.append(torch.linalg.solve(matrix, right))
    return torch.stack(rows)


def measured_along(objective: Objective, queries: Examples, changes: Tensor) -> Tensor:
    """m(f + J Δθ) − m(f) [query, train]: outputs linear in θ, the measurement as it is."""
    task, theta = objective.task, objective.theta
    jacobians = example_jacobians(task, theta, queries)
    rows = []
    for q in range(len(queries)):
        batch = one(queries, q)
        output = task.predict(theta, batch)
        moved = [task.measure(output + (jacobians[q] @ d).reshape(output.shape), batch)[0] for d in changes]
        rows.append(torch.stack(moved) - task.measure(output, batch)[0])
    return torch.stack(rows).detach()


def minimum(fn: Callable[[Tensor], Tensor], start: Tensor, tolerance: float = 1e-12) -> tuple[Tensor, float]:
    """The minimum of a smooth function by scipy's trust-region Newton, and the gradient's norm there."""

    def flat(theta: npt.NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(theta))

    found = scipy.optimize.minimize(
        lambda t: float(fn(flat(t))),
        start.numpy(),
        jac=lambda t: gradient(fn, flat(t)).numpy(),
        hess=lambda t: hessian(fn, flat(t)).numpy(),
        method="trust-exact",
        options={"gtol": tolerance, "maxiter": 200},
    )
    theta = flat(found.x)
    for _ in range(3):  # Newton steps where the trust region's ratio is drowned in rounding
        theta = (
            theta - torch.linalg.lstsq(hessian(fn, theta), gradient(fn, theta)[:, None], driver="gelsd").solution[:, 0]
        )
    return theta, float(gradient(fn, theta).norm())


def without(count: int, *removed: int) -> Tensor:
    """Example weights with some examples removed."""
    weights = torch.ones(count, dtype=torch.float64)
    weights[list(removed)] = 0
    return weights


def ridge(objective: Objective, weights: Tensor | None = None) -> Tensor:
    """The parameters (weight, bias) of weighted ridge regression from the normal equations."""
    batch = objective.train.take(slice(None))
    x = torch.cat([batch.inputs, torch.ones(objective.count, 1, dtype=torch.float64)], 1)
    w = torch.ones(objective.count, dtype=torch.float64) if weights is None else weights
    w = 2 * w / (w.sum() if objective.mean else 1.0)
    return torch.linalg.solve(
        x.T @ (w[:, None] * x) + torch.diag(objective.task.coefficients), x.T @ (w * batch.targets)
    )

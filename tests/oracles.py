"""Slow and obvious: loops, dense matrices and textbook formulas, against which everything fast is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor, nn
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


def output_columns(task: AbstractTask, theta: Tensor, examples: Examples, position: int, fisher: str) -> Tensor:
    """Output gradients g as columns [output, k] with Σ g gᵀ the output's curvature, or the gradient at the label."""
    if fisher == "empirical":
        batch = one(examples, position)
        output = task.predict(theta, batch).detach()
        return gradient(lambda f: task.loss(f.reshape(output.shape), batch)[0], output.reshape(-1))[:, None]
    values, vectors = torch.linalg.eigh(output_curvature(task, theta, examples, position))
    return vectors * values.clamp(min=0).sqrt()


def fisher_matrix(objective: Objective, fisher: str = "empirical") -> Tensor:
    """w Σ Jᵀ g gᵀ J + diag λ, example by example."""
    o = objective
    found = torch.diag(o.task.coefficients)
    weight = 1 / o.count if o.mean else 1.0
    for i, j in enumerate(example_jacobians(o.task, o.theta, o.train)):
        pulled = j.T @ output_columns(o.task, o.theta, o.train, i, fisher)
        found = found + weight * pulled @ pulled.T
    return found


def within_blocks(matrix: Tensor, objective: Objective) -> Tensor:
    """The entries of a matrix between parameters of one module; 0 elsewhere."""
    layout = objective.task.layout
    owner = np.repeat([name.rpartition(".")[0] for name in layout.names], layout.sizes)
    return matrix * torch.from_numpy(owner[:, None] == owner[None, :])


def windows(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer multiplies by its weight for one example [position, input], place by place."""
    if isinstance(layer, nn.Embedding):
        found = F.one_hot(x.reshape(-1), layer.num_embeddings).double()
        return found * (x.reshape(-1) != (-1 if layer.padding_idx is None else layer.padding_idx))[:, None]
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, layer.in_features)
    x = x if isinstance(layer, nn.Conv2d) else x[:, :, None]
    height, width = ((1, 1)[: 2 - len(layer.kernel_size)] + tuple(layer.kernel_size))[-2:]
    (sh, sw), (dh, dw) = ((1, 1, *one)[-2:] for one in (layer.stride, layer.dilation))
    ph, pw = (0, 0, *layer.padding)[-2:]
    image = F.pad(x[0], (pw, pw, ph, ph))
    rows = []
    for top in range(0, image.shape[1] - dh * (height - 1), sh):
        for left in range(0, image.shape[2] - dw * (width - 1), sw):
            patch = image[:, top : top + dh * (height - 1) + 1 : dh, left : left + dw * (width - 1) + 1 : dw]
            rows.append(patch.reshape(-1))
    return torch.stack(rows)


Uses = dict[str, list[tuple[Tensor, Tensor]]]


def layer_uses(objective: Objective, position: int) -> tuple[Tensor, Uses]:
    """One example's output, and for every module what entered it and what left it, use by use."""
    task, uses, handles = objective.task, {}, []
    for name, layer in task.module.named_modules():

        def keep(layer: nn.Module, args: Any, output: Any, name: str = name) -> None:
            uses.setdefault(name, []).append((args[0].detach(), output))

        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Embedding):
            handles.append(layer.register_forward_hook(keep))
    output = task.predict(objective.theta.clone().requires_grad_(True), one(objective.train, position))
    for handle in handles:
        handle.remove()
    return output, uses


def kronecker(
    objective: Objective,
    corrected: bool,
    fisher: str = "exact",
    joint: bool = True,
    diagonal: tuple[str, ...] = (),
    layer_damping: float = 0.0,
) -> Tensor:
    """KFAC or EKFAC as one dense matrix by definition, example by example; ``diagonal``: layers without a block."""
    o = objective
    weight = 1 / o.count if o.mean else 1.0
    matrix = torch.diag(fisher_matrix(o, fisher).diagonal().clone())
    inputs: dict[str, list[Tensor]] = {}
    cotangents: dict[str, list[list[Tensor]]] = {}
    modules = dict(o.task.module.named_modules())
    for i in range(o.count):
        output, uses = layer_uses(o, i)
        columns = output_columns(o.task, o.theta, o.train, i, fisher)
        for name, calls in uses.items():
            own = []
            for column in columns.T:
                pulled = torch.autograd.grad(
                    output, [left for _, left in calls], column.reshape(output.shape), retain_graph=True
                )
                conv = isinstance(modules[name], nn.Conv1d | nn.Conv2d)
                flat = [g[0].reshape(g.shape[1], -1).T if conv else g.reshape(-1, g.shape[-1]) for g in pulled]
                own.append(torch.cat(flat))
            inputs.setdefault(name, []).append(torch.cat([windows(modules[name], x) for x, _ in calls]))
            cotangents.setdefault(name, []).append(own)
    for name, entered in inputs.items():
        if name in diagonal or getattr(modules[name], "groups", 1) > 1:
            continue
        prefix = f"{name}." if name else ""
        slices = o.task.layout.slices
        where = {
            kind: torch.arange(slices[prefix + kind].start, slices[prefix + kind].stop)
            for kind in ("weight", "bias")
            if prefix + kind in slices
        }
        ones = [torch.ones(len(a), 1, dtype=torch.float64) for a in entered]
        if set(where) == {"weight", "bias"} and joint:
            pieces = [([torch.cat([a, e], 1) for a, e in zip(entered, ones, strict=True)], ("weight", "bias"))]
        else:
            pieces = [(entered if kind == "weight" else ones, (kind,)) for kind in where]
        for rows, kinds in pieces:
            block = _block(rows, cotangents[name], weight, corrected, isinstance(modules[name], nn.Embedding))
            place = _places(where, kinds, modules[name])
            added = o.task.coefficients[place] + layer_damping * torch.linalg.eigvalsh(block).mean()
            matrix[place[:, None], place] = block + torch.diag(added)
    return matrix


def _block(
    inputs: list[Tensor], cotangents: list[list[Tensor]], weight: float, corrected: bool, lookup: bool
) -> Tensor:
    """A block over the matrix [output, input], row by row."""
    real = [a[a.abs().sum(1) > 0] if lookup else a for a in inputs]
    a = torch.cat(real).T @ torch.cat(real) / sum(map(len, real))
    used = [
        [g * (rows.abs().sum(1) > 0)[:, None] if lookup else g for g in own]
        for rows, own in zip(inputs, cotangents, strict=True)
    ]
    g = weight * sum(g.T @ g for own in used for g in own)
    if not corrected:
        return torch.kron(g, a)
    u, v = torch.linalg.eigh(g).eigenvectors, torch.linalg.eigh(a).eigenvectors
    v = torch.eye(len(a), dtype=torch.float64) if lookup else v
    squares = sum((u.T @ (g.T @ x) @ v).square() for x, own in zip(inputs, used, strict=True) for g in own)
    basis = torch.kron(u.contiguous(), v.contiguous())
    return basis @ torch.diag((weight * squares).reshape(-1)) @ basis.T


def _places(where: dict[str, Tensor], kinds: tuple[str, ...], layer: nn.Module) -> Tensor:
    """The vector's positions in the order of a matrix [output, input], with the bias as last input."""
    if kinds == ("bias",):
        return where["bias"]
    shape = layer.weight.shape
    weight = where["weight"].reshape(shape[0], -1)
    weight = weight.T if isinstance(layer, nn.Embedding) else weight
    return torch.cat([weight, where["bias"][:, None]], 1).reshape(-1) if "bias" in kinds else weight.reshape(-1)


def curvature(objective: Objective, kind: Curvature) -> Tensor:
    """The dense matrix by name; "ekfac:empirical:0.1": of the empirical Fisher matrix, with a layer damping of 0.1."""
    name, fisher, fraction = [*kind.split(":"), "", ""][:3]
    if name == "hessian":
        return objective_hessian(objective)
    if name == "empirical-fisher":
        return fisher_matrix(objective)
    if name in ("kfac", "ekfac"):
        return kronecker(objective, name == "ekfac", fisher or "exact", layer_damping=float(fraction or 0))
    if name == "block-diagonal":
        return within_blocks(gauss_newton(objective), objective)
    if name == "block-diagonal-hessian":
        return within_blocks(objective_hessian(objective), objective)
    if name == "diagonal":
        return torch.diag(fisher_matrix(objective, fisher or "exact").diagonal())
    return gauss_newton(objective)


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

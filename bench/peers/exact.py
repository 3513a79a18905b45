"""The exact answer in float64: ∇m_q·(H + damping·I)⁻¹(∇ℓ_i − ∇L)/(n−1) with the dense Hessian H of the objective.

Computed once a question and kept beside it, with two checks: Hessian-vector products against differences of gradients,
and the residual of the solve.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.peers import question as questions
from whence.attribution.influence import InfluenceFunction
from whence.curvature.hessian import Hessian
from whence.examples import as_examples
from whence.gradients import functional, rows
from whence.objective import Objective, objective_of
from whence.solvers.conjugate_gradient import ConjugateGradient
from whence.solvers.spectrum import extremes
from whence.tasks import Classification

STEP, PROBES = 1e-4, 3
MOST_WRONG = 1e-5
RESIDUAL = 1e-3
LOOKING = 60


def exact(folder: Path, at_once: int = 512) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Scores [query, train] and what is known of them; raises RuntimeError if a check fails.

    ``at_once``: examples that are differentiated together, which changes memory and no result.
    """
    kept = folder / "exact.npz"
    if not kept.exists():
        _make(folder, at_once)
    with np.load(kept) as found:
        return found["scores"], json.loads((folder / "exact.json").read_text(encoding="utf-8"))


def _make(folder: Path, at_once: int) -> None:
    start = time.perf_counter()
    question = questions.read(folder)
    task = Classification(question.model, weight_decay=question.penalty)
    objective = replace(objective_of(task, as_examples(question.train), torch.float64), batch_size=at_once)
    _check_definite(extremes(Hessian(objective), LOOKING).lambda_min, question.damping)  # minutes before the matrix
    matrix = Hessian(objective).dense()
    wrong = _difference(objective, matrix)
    if not wrong < MOST_WRONG:
        raise RuntimeError(f"the dense Hessian differs from differences of gradients by {wrong:.1e}: nothing is judged")
    damped = matrix + question.damping * torch.eye(len(matrix), dtype=matrix.dtype)
    spectrum = torch.linalg.eigvalsh(matrix)
    _check_definite(float(spectrum[0]), question.damping)
    asked, own = _gradients(objective, question.queries), _gradients(objective, question.train)
    solved = torch.linalg.solve(damped, asked.T)
    residual = float((damped @ solved - asked.T).norm() / asked.norm())
    scores = objective.removal * solved.T @ (own - own.mean(0)).T
    np.savez(folder / "exact.npz", scores=scores.numpy())
    said = {
        "seconds": time.perf_counter() - start,
        "parameters": len(matrix),
        "gradient norm": functional.evaluate_objective(objective, objective.theta).gradient.norm().item(),
        "smallest eigenvalue": float(spectrum[0]),
        "largest eigenvalue": float(spectrum[-1]),
        "negative eigenvalues": int((spectrum < 0).sum()),
        "largest relative error of products against differences of gradients": wrong,
        "relative residual": residual,
    }
    (folder / "exact.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _check_definite(smallest: float, damping: float) -> None:
    """``smallest``: the smallest eigenvalue, or a Ritz value, which lies above it."""
    if smallest + damping <= 0:
        raise RuntimeError(
            f"the damped Hessian is indefinite (smallest eigenvalue {smallest:.3g}, damping {damping}): it has no "
            "answer to judge by; use more damping"
        )


def solved(folder: Path, count: int) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
    """Scores [query, train] of the first ``count`` queries with the damped Gauss-Newton matrix, where none is dense.

    By conjugate gradients in float64 to a relative residual of ``RESIDUAL``; what was reached is returned beside them.
    """
    kept = folder / f"solved-{count}"
    if not kept.with_suffix(".npz").exists():
        start = time.perf_counter()
        question = questions.read(folder)
        task = Classification(question.model.double(), weight_decay=question.penalty)
        solver = ConjugateGradient(RESIDUAL, max_iterations=500, preconditioner="diagonal", lanczos=0)
        method = InfluenceFunction(solver, question.damping, "gauss-newton")
        found = method.fit(task, question.train).attribute(question.first(count))
        np.savez(kept.with_suffix(".npz"), scores=found.values)
        said = {
            "what": "damped Gauss-Newton matrix, conjugate gradients in float64",
            "queries": count,
            "relative residual": float(found["query_residual"].max()),
            "iterations": found.attrs["solver"]["iterations"],
            "seconds": time.perf_counter() - start,
        }
        kept.with_suffix(".json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    with np.load(kept.with_suffix(".npz")) as answer:
        return answer["scores"], json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))


def _gradients(objective: Objective, part: tuple[Tensor, Tensor]) -> Tensor:
    pieces = rows.gradient_rows(objective.task, objective.theta, as_examples(part))
    return torch.cat([piece for _, piece in pieces])


def _difference(objective: Objective, matrix: Tensor) -> float:
    """The largest relative error of H·v against (∇F(θ + hv) − ∇F(θ − hv)) / 2h, over random v of norm 1."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for _ in range(PROBES):
        v = torch.randn(len(matrix), generator=generator, dtype=torch.float64)
        v /= v.norm()
        ahead, behind = (
            functional.evaluate_objective(objective, objective.theta + sign * STEP * v).gradient for sign in (1, -1)
        )
        product = matrix @ v
        worst = max(worst, float(((ahead - behind) / (2 * STEP) - product).norm() / product.norm()))
    return worst

"""Ours, as a row like any other: through the public interface, in a process of its own, measured the same way.

A method that the package does not have yet is a row that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from bench.peers.question import Question
from bench.peers.row import NotBuilt, Row, Score

MODULES = (
    "whence",
    "whence.tasks",
    "whence.attribution.influence",
    "whence.attribution.baselines",
)
Build: TypeAlias = Callable[[Any, Question], Any]
Studied: TypeAlias = Callable[[Question], list[str] | None]
LATE = 3


def everything(question: Question) -> None:
    """All parameters."""


def last_layer(question: Question) -> list[str]:
    return [question.head]


def last_weight(question: Question) -> list[str]:
    """Without the bias, as captum's TracInCPFast."""
    return [f"{question.head}.weight"]


def late_layers(question: Question) -> list[str]:
    """The parameters of the last ``LATE`` layers that have any."""
    owners = {name: name.rpartition(".")[0] for name, _ in question.model.named_parameters()}
    late = list(dict.fromkeys(owners.values()))[-LATE:]
    return [name for name, owner in owners.items() if owner in late]


def attribution(question: Question, build: Build, studied: Studied = everything, penalised: bool = True) -> Score:
    """Fit what ``build(whence, question)`` makes, for the parameters that ``studied`` names.

    Without the penalty in the curvature where not ``penalised``, as in peers that never see it.
    """
    import whence as wh

    penalty = question.penalty if penalised else 0.0
    task = wh.Classification(question.model, weight_decay=penalty, only=studied(question))
    try:
        explainer = build(wh, question).fit(task, question.train)
    except (AttributeError, ImportError, ValueError) as error:
        if _missing(error):
            raise NotBuilt(str(error)) from error
        raise

    def score(count: int) -> Tensor:
        return torch.from_numpy(explainer.attribute(question.first(count)).values)

    return score


def _missing(error: Exception) -> bool:
    said = str(error)
    return said.startswith(("module 'whence", "No module named 'whence", "curvature must be"))


def gauss_newton(wh: Any, question: Question) -> Any:
    return wh.InfluenceFunction(wh.Dense(), question.damping, "gauss-newton")


def dense(wh: Any, question: Question) -> Any:
    return wh.InfluenceFunction(wh.Dense(), question.damping)


def gradient(
    wh: Any, question: Question, iterations: int, preconditioner: str = "dense", tolerance: float = 1e-12
) -> Any:
    """Conjugate gradients; a small number of iterations is the setting, and no tolerance is meant to be met."""
    solver = wh.ConjugateGradient(tolerance, iterations, preconditioner, lanczos=0)
    return wh.InfluenceFunction(solver, question.damping)


def approximate(wh: Any, question: Question, curvature: str, **options: Any) -> Any:
    chosen = wh.Approximation(curvature, **options) if options else curvature
    return wh.InfluenceFunction(wh.Factored(), question.damping, chosen)


def damped_by_layer(wh: Any, question: Question, **options: Any) -> Any:
    """EKFAC with no damping but a tenth of each layer's mean eigenvalue."""
    return wh.InfluenceFunction(wh.Factored(), 0.0, wh.Approximation("ekfac", layer_damping=0.1, **options))


def lissa(wh: Any, question: Question) -> Any:
    return wh.InfluenceFunction(wh.LiSSA(depth=1000, batch=50, repeats=1), question.damping)


def low_rank(wh: Any, question: Question, solver: str, **options: Any) -> Any:
    return wh.InfluenceFunction(getattr(wh, solver)(**options), question.damping)


def tracin(wh: Any, question: Question) -> Any:
    return wh.TracIn([question.state])


def trak(wh: Any, question: Question, dimension: int) -> Any:
    return wh.TRAK(dimension=dimension, ridge=question.damping)


def logra(wh: Any, question: Question, rank: int) -> Any:
    return wh.LoGra(rank=rank, damping=question.damping)


def plain(wh: Any, question: Question, name: str) -> Any:
    return getattr(wh, name)()


def _row(kind: str, setup: str, penalty: str, build: Build, studied: Studied = everything) -> Row:
    """``penalty``: "yes", "none" where the method has no curvature, or "no" where it is left out."""
    return Row(kind, setup, penalty, partial(attribution, build=build, studied=studied, penalised=penalty != "no"))


GN, SAMPLED = "the dense Gauss-Newton matrix", "the Gauss-Newton matrix of the examples that carry most curvature"
CG = "steps of conjugate gradients on the Hessian, preconditioned by"
HEURISTIC = "no damping but 0.1 of the mean eigenvalue a layer"
TO = "conjugate gradients on the Hessian to a residual of 1e-4, preconditioned by"


def _small(kind: str, name: str, **options: Any) -> dict[str, Row]:
    """Curvature with a structure, solved by it."""
    words = ", ".join(f"{key} {value}" for key, value in options.items())
    build = partial(approximate, curvature=name, **options)
    tail = "".join(f"_{value}" for value in options.values())
    row = _row(kind, f"curvature {name}{', ' + words if words else ''}", "yes", build)
    return {f"whence_{name.replace('-', '_')}{tail}": row}


def _trak(dimension: int) -> Row:
    setup = f"TRAK, {dimension} dimensions, ridge as the damping"
    return _row("projection", setup, "none", partial(trak, dimension=dimension))


def _steps(count: int, preconditioner: str, words: str) -> Row:
    build = partial(gradient, iterations=count, preconditioner=preconditioner)
    return _row("iterations", f"{count} {CG} {words}", "yes", build)


def _converged(preconditioner: str, words: str) -> Row:
    build = partial(gradient, iterations=200, preconditioner=preconditioner, tolerance=1e-4)
    return _row("iterations", f"{TO} {words}", "yes", build)


ROWS = {
    "whence_gradient_dot": _row("gradients", "GradientDot", "none", partial(plain, name="GradientDot")),
    "whence_tracin": _row("gradients", "TracIn, one checkpoint", "none", tracin),
    "whence_tracin_last": _row(
        "gradients", "TracIn, one checkpoint, weight of the last layer alone", "none", tracin, last_weight
    ),
    "whence_gauss_newton_last": _row("dense", "Gauss-Newton of the last layer alone", "yes", gauss_newton, last_layer),
    "whence_gauss_newton_late": _row(
        "dense", f"Gauss-Newton of the last {LATE} layers alone", "yes", gauss_newton, late_layers
    ),
    "whence_sampled_gauss_newton_late": _row(
        "sampled",
        f"curvature sampled-gauss-newton of the last {LATE} layers alone",
        "yes",
        partial(approximate, curvature="sampled-gauss-newton"),
        late_layers,
    ),
    **_small("diagonal", "diagonal"),
    "whence_diagonal_free": _row("diagonal", "curvature diagonal", "no", partial(approximate, curvature="diagonal")),
    **_small("factored", "kfac"),
    **_small("factored", "ekfac"),
    **_small("factored", "ekfac", fisher="sampled"),
    "whence_ekfac_layer": _row("factored", f"curvature ekfac, {HEURISTIC}", "yes", damped_by_layer),
    "whence_ekfac_sampled_layer": _row(
        "factored", f"curvature ekfac, fisher sampled, {HEURISTIC}", "yes", partial(damped_by_layer, fisher="sampled")
    ),
    "whence_ekfac_layer_free": _row("factored", f"curvature ekfac, {HEURISTIC}", "no", damped_by_layer),
    **_small("factored", "block-diagonal"),
    **_small("sampled", "sampled-gauss-newton", examples=100),
    **_small("sampled", "sampled-gauss-newton", examples=300),
    **_small("sampled", "sampled-gauss-newton"),
    **{f"whence_trak{dimension}": _trak(dimension) for dimension in (512, 2048)},
    "whence_logra16": _row("projection", "LoGra, rank 16 a layer", "yes", partial(logra, rank=16)),
    "whence_gauss_newton": _row("dense", "dense Gauss-Newton, Cholesky", "yes", gauss_newton),
    "whence_pcg3": _steps(3, "dense", GN),
    "whence_pcg5": _steps(5, "dense", GN),
    "whence_pcg3_sampled": _steps(3, "sampled", SAMPLED),
    "whence_pcg5_sampled": _steps(5, "sampled", SAMPLED),
    "whence_cg": _converged("dense", GN),
    "whence_cg_sampled": _converged("sampled", SAMPLED),
    "whence_cg_ekfac": _converged("ekfac", "EKFAC"),
    "whence_lissa": _row("series", "LiSSA, batch 50, depth 1000", "yes", lissa),
    "whence_datainf": _row("diagonal", "DataInf", "yes", partial(plain, name="DataInf")),
    "whence_nystroem100": _row("low rank", "Nyström, rank 100", "yes", partial(low_rank, solver="Nystroem", rank=100)),
    "whence_arnoldi50": _row("low rank", "Lanczos, rank 50", "yes", partial(low_rank, solver="Arnoldi", rank=50)),
    "whence_hessian": _row("dense", "dense Hessian, Cholesky", "yes", dense),
}

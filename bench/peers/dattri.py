"""dattri 0.3.0: influence functions by several solvers, TracIn and TRAK.

The only peer whose loss sees the parameters, so the penalty can enter. Its solvers add up inverses of batches, so all
data must come in one batch. Its flat parameters require gradients, so that every product of a solver is kept by
autograd: an outer ``no_grad`` around each row stops that, except in the row that is run as documented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from bench.peers.question import Question, penalised
from bench.peers.row import Row, Score

MODULES = ("dattri.task", "dattri.algorithm.influence_function", "dattri.algorithm.tracin", "dattri.algorithm.trak")
BATCH = 500
Loss: TypeAlias = Callable[[Mapping[str, Tensor], tuple[Tensor, ...]], Tensor]


def _loss(question: Question, penalty: bool) -> Loss:
    """Mean cross-entropy, with the penalty if asked; inputs may come with or without a batch dimension."""
    model, names = question.model, penalised(question.model)

    def loss(params: Mapping[str, Tensor], data: tuple[Tensor, ...]) -> Tensor:
        value = F.cross_entropy(_logits(model, params, data), data[1].long().reshape(-1))
        if penalty:
            value = value + 0.5 * question.penalty * sum(params[name].square().sum() for name in names)
        return value

    return loss


def _logits(model: nn.Module, params: Mapping[str, Tensor], data: tuple[Tensor, ...]) -> Tensor:
    inputs = data[0] if data[1].dim() else data[0][None]
    found: Tensor = functional_call(model, dict(params), (inputs,))
    return found


def _task(question: Question, penalty: bool = True) -> Any:
    from dattri.task import AttributionTask

    return AttributionTask(
        loss_func=_loss(question, penalty),
        target_func=_loss(question, penalty=False),
        model=question.model,
        checkpoints=question.state,
    )


def _score(
    method: Any, question: Question, each: int | None, quiet: Callable[[], AbstractContextManager[Any]]
) -> Score:
    """``each``: how many queries go through at once; None: all."""
    train = question.loader(question.n)

    def score(count: int) -> Tensor:
        with quiet():
            found: Tensor = method.attribute(train, question.loader(each or count, question.first(count)))
        return found.T

    return score


def solver(
    question: Question,
    name: str,
    each: int | None = 1,
    documented: bool = False,
    penalty: bool = True,
    **options: Any,
) -> Score:
    """An attributor of the family by its class; ``documented``: without the outer ``no_grad``."""
    import dattri.algorithm.influence_function as module

    quiet = nullcontext if documented else torch.no_grad
    with quiet():
        method = getattr(module, name)(_task(question, penalty), **options)
        method.cache(question.loader(question.n))
    return _score(method, question, each, quiet)


def damped(question: Question, name: str, **options: Any) -> Score:
    return solver(question, name, regularization=question.damping, **options)


def last_layer(question: Question) -> Score:
    name = question.head
    layer = [f"{name}.weight", f"{name}.bias"]
    return damped(question, "IFAttributorExplicit", penalty=False, layer_name=layer, each=None)


def lissa(question: Question) -> Score:
    scale = 500.0
    options = {"batch_size": 50, "recursion_depth": 1000, "num_repeat": 1}
    return solver(question, "IFAttributorLiSSA", scaling=scale, damping=question.damping / scale, **options)


def ekfac(question: Question) -> Score:
    """Its hooks need gradients, so no ``no_grad`` here; linear layers are all it can take apart."""
    from dattri.algorithm.influence_function import IFAttributorEKFAC

    method = IFAttributorEKFAC(_task(question, penalty=False), damping=question.damping)
    method.cache(question.loader(BATCH))
    return _score(method, question, None, nullcontext)


def tracin(question: Question) -> Score:
    from dattri.algorithm.tracin import TracInAttributor

    identity = {"proj_type": "identity", "proj_dim": sum(value.numel() for value in question.model.parameters())}
    method = TracInAttributor(
        _task(question, penalty=False), torch.ones(1), normalized_grad=False, projector_kwargs=identity
    )
    train = question.loader(BATCH)

    def score(count: int) -> Tensor:
        with torch.no_grad():
            found: Tensor = method.attribute(train, question.loader(count, question.first(count)))
        return found.T

    return score


def trak(question: Question, dimension: int, ridge: float) -> Score:
    from dattri.algorithm.trak import TRAKAttributor
    from dattri.task import AttributionTask

    model = question.model

    def margin(params: Mapping[str, Tensor], data: tuple[Tensor, ...]) -> Tensor:
        logits, target = _logits(model, params, data), data[1].long().reshape(-1, 1)
        others = logits.scatter(1, target, float("-inf"))
        return (logits.gather(1, target)[:, 0] - others.logsumexp(1)).sum()

    def probability(params: Mapping[str, Tensor], data: tuple[Tensor, ...]) -> Tensor:
        logits, target = _logits(model, params, data), data[1].long().reshape(-1, 1)
        return logits.softmax(1).gather(1, target)[0, 0]

    task = AttributionTask(loss_func=margin, model=model, checkpoints=question.state)
    with torch.no_grad():
        method = TRAKAttributor(
            task, probability, projector_kwargs={"proj_dim": dimension, "device": "cpu"}, regularization=ridge
        )
        method.cache(question.loader(BATCH))

    def score(count: int) -> Tensor:
        with torch.no_grad():
            found: Tensor = method.attribute(question.loader(count, question.first(count)))
        return found.T

    return score


CG = "IFAttributorCG, rev-fwd, all data in one batch, one query at a time"
NO_GRAD = "inside torch.no_grad()"
ROWS = {
    "dattri_trak512": Row(
        "projection",
        "TRAKAttributor, 512 dimensions (default), no ridge",
        "none",
        partial(trak, dimension=512, ridge=0.0),
    ),
    "dattri_trak2048": Row(
        "projection", "TRAKAttributor, 2048 dimensions, ridge 0.01", "none", partial(trak, dimension=2048, ridge=0.01)
    ),
    "dattri_tracin": Row("gradients", "TracInAttributor, one checkpoint, no projection", "none", tracin),
    "dattri_ekfac": Row("factored", "IFAttributorEKFAC: linear layers only", "no", ekfac),
    "dattri_datainf": Row(
        "diagonal",
        "IFAttributorDataInf, layer by layer",
        "in the gradients",
        partial(damped, name="IFAttributorDataInf", each=None),
    ),
    "dattri_lissa": Row("series", "IFAttributorLiSSA, batch 50, depth 1000, scale 500", "yes", lissa),
    "dattri_cg10": Row(
        "iterations",
        f"{CG}, 10 iterations (default), {NO_GRAD}",
        "yes",
        partial(damped, name="IFAttributorCG", max_iter=10, mode="rev-fwd"),
    ),
    "dattri_explicit_fc": Row("dense", "IFAttributorExplicit, last layer alone", "no", last_layer),
    "dattri_explicit": Row(
        "dense",
        "IFAttributorExplicit, all parameters, all data in one batch",
        "yes",
        partial(damped, name="IFAttributorExplicit", each=None),
    ),
    "dattri_cg10_asis": Row(
        "iterations",
        f"{CG}, 10 iterations, as documented",
        "yes",
        partial(damped, name="IFAttributorCG", max_iter=10, mode="rev-fwd", documented=True),
    ),
    "dattri_cg100": Row(
        "iterations",
        f"{CG}, 100 iterations, {NO_GRAD}",
        "yes",
        partial(damped, name="IFAttributorCG", max_iter=100, mode="rev-fwd"),
    ),
    "dattri_arnoldi": Row(
        "low rank",
        "IFAttributorArnoldi, 100 directions, 100 steps (defaults)",
        "yes",
        partial(damped, name="IFAttributorArnoldi", each=None),
    ),
}

"""captum 0.9.0: influence functions by Arnoldi and by the whole Hessian, and TracIn.

Its Hessian is summed over the examples, so damping is multiplied by their number. Its loss never sees a parameter,
so the penalty stays out. Sums and sample-wise gradients a batch are its fast way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from bench.peers.question import Question
from bench.peers.row import Row, Score

MODULES = ("captum.influence", "captum.influence._core.arnoldi_influence_function")
BATCH = 500
LOSS = nn.CrossEntropyLoss(reduction="sum")


def _load(question: Question) -> Any:
    state = question.state

    def load(model: nn.Module, path: str) -> float:
        model.load_state_dict(state)
        return 1.0

    return load


def _score(influence: Any, question: Question) -> Score:
    def score(count: int) -> Tensor:
        found: Tensor = influence(question.first(count))
        return found

    return score


def tracin(question: Question) -> Score:
    from captum.influence import TracInCP

    method = TracInCP(
        question.model,
        question.dataset(),
        ["checkpoint"],
        _load(question),
        loss_fn=LOSS,
        batch_size=BATCH,
        sample_wise_grads_per_batch=True,
    )
    return _score(method.influence, question)


def tracin_fast(question: Question) -> Score:
    from captum.influence import TracInCPFast

    method = TracInCPFast(
        question.model,
        question.model.get_submodule(question.head),
        question.dataset(),
        ["checkpoint"],
        _load(question),
        loss_fn=LOSS,
        batch_size=BATCH,
    )
    return _score(method.influence, question)


def arnoldi(question: Question, steps: int) -> Score:
    from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction

    method = ArnoldiInfluenceFunction(
        question.model,
        question.dataset(),
        "checkpoint",
        _load(question),
        loss_fn=LOSS,
        batch_size=BATCH,
        sample_wise_grads_per_batch=True,
        projection_dim=50,
        arnoldi_dim=steps,
        hessian_reg=question.damping * question.n,
    )
    return _score(method.influence, question)


def naive(question: Question) -> Score:
    from captum.influence import NaiveInfluenceFunction

    some = min(500, question.n)
    part = question.dataset((question.train[0][:some], question.train[1][:some]))
    method = NaiveInfluenceFunction(
        question.model,
        question.dataset(),
        "checkpoint",
        _load(question),
        loss_fn=LOSS,
        batch_size=BATCH,
        hessian_dataset=part,
        sample_wise_grads_per_batch=True,
        projection_dim=sum(value.numel() for value in question.model.parameters()),
        hessian_reg=question.damping * some,
    )
    return _score(method.influence, question)


ROWS = {
    "captum_tracincp_fast": Row("gradients", "TracInCPFast, one checkpoint, last layer alone", "none", tracin_fast),
    "captum_tracincp": Row("gradients", "TracInCP, one checkpoint, sample-wise gradients a batch", "none", tracin),
    "captum_naive_h500": Row(
        "dense", "NaiveInfluenceFunction, full rank, Hessian of the first 500 examples", "no", naive
    ),
    "captum_arnoldi100": Row(
        "low rank", "ArnoldiInfluenceFunction, 100 steps, 50 directions", "no", partial(arnoldi, steps=100)
    ),
    "captum_arnoldi": Row(
        "low rank",
        "ArnoldiInfluenceFunction, 200 steps, 50 directions (its defaults)",
        "no",
        partial(arnoldi, steps=200),
    ),
}

"""pyDVL 0.10.0: influence functions by its solvers; factors of the queries first, products with the training set then.

Its loss sees outputs and targets only, so the penalty stays out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.peers.question import Question
from bench.peers.row import Row, Score

MODULES = ("pydvl.influence.torch",)
BATCH = 500


def fitted(question: Question, name: str, batch: int = BATCH, **options: Any) -> Score:
    """A model of influence by its class, fitted on batches of ``batch``."""
    import pydvl.influence.torch as library

    torch.manual_seed(0)
    method = getattr(library, name)(question.model, F.cross_entropy, regularization=question.damping, **options)
    return _score(method.fit(question.loader(batch)), question)


def ekfac(question: Question, frozen: bool) -> Score:
    """Linear layers are all it can take apart; ``frozen``: everything else is taken out of the question first."""
    from pydvl.influence.torch import EkfacInfluence

    torch.manual_seed(0)
    if frozen:
        for name, value in question.model.named_parameters():
            value.requires_grad_(name.rpartition(".")[0] == question.head)
    method = EkfacInfluence(question.model, update_diagonal=True, hessian_regularization=question.damping)
    return _score(method.fit(question.loader(BATCH)), question)


def _score(method: Any, question: Question) -> Score:
    def score(count: int) -> Tensor:
        solved = method.influence_factors(*question.first(count))
        pieces = [method.influences_from_factors(solved, *batch) for batch in question.loader(BATCH)]
        return torch.cat([piece.detach() for piece in pieces], 1)

    return score


ROWS = {
    "pydvl_ekfac": Row(
        "factored",
        "EkfacInfluence, corrected eigenvalues; all but the last layer frozen, for it knows linear layers only",
        "no",
        partial(ekfac, frozen=True),
    ),
    "pydvl_ekfac_conv": Row("factored", "EkfacInfluence on the whole network", "no", partial(ekfac, frozen=False)),
    "pydvl_harmonic": Row(
        "diagonal", "InverseHarmonicMeanInfluence", "no", partial(fitted, name="InverseHarmonicMeanInfluence")
    ),
    "pydvl_lissa": Row(
        "series",
        "LissaInfluence, batch 50, depth 1000, scale 500",
        "no",
        partial(fitted, name="LissaInfluence", batch=50, maxiter=1000, scale=500.0),
    ),
    "pydvl_nystroem100": Row(
        "low rank", "NystroemSketchInfluence, rank 100", "no", partial(fitted, name="NystroemSketchInfluence", rank=100)
    ),
    "pydvl_arnoldi50": Row(
        "low rank",
        "ArnoldiInfluence, rank 50, tolerance 1e-3, with its Woodbury complement",
        "no",
        partial(fitted, name="ArnoldiInfluence", rank=50, tol=1e-3, use_woodbury=True),
    ),
    "pydvl_cg": Row(
        "iterations",
        "CgInfluence, all queries at once, at most 100 iterations",
        "no",
        partial(fitted, name="CgInfluence", rtol=1e-2, maxiter=100, solve_simultaneously=True),
    ),
    "pydvl_direct": Row(
        "dense",
        "DirectInfluence, batch 4: its memory grows with the batch",
        "no",
        partial(fitted, name="DirectInfluence", batch=4),
    ),
}

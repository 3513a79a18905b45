"""traker 0.3.2: TRAK with one checkpoint. What it attributes is the margin of the label, not the loss.

float16 and CUDA are its defaults and are switched off. Every set of queries is an experiment with a name of its own.
"""

from __future__ import annotations

import logging
import tempfile
from functools import partial

import torch
from torch import Tensor

from bench.peers.question import Question
from bench.peers.row import Row, Score

MODULES = ("trak",)
BATCH = 500


def trak(question: Question, dimension: int, batch: int = BATCH) -> Score:
    from trak import TRAKer

    state = question.state
    method = TRAKer(
        model=question.model,
        task="image_classification",
        train_set_size=question.n,
        save_dir=tempfile.mkdtemp(prefix="traker-"),
        device="cpu",
        proj_dim=dimension,
        use_half_precision=False,
        logging_level=logging.ERROR,
    )
    method.load_checkpoint(state, model_id=0)
    for part in question.loader(batch):
        method.featurize(batch=part, num_samples=len(part[1]))
    method.finalize_features()

    def score(count: int) -> Tensor:
        name = f"first-{count}"
        method.start_scoring_checkpoint(name, state, model_id=0, num_targets=count)
        for part in question.loader(batch, question.first(count)):
            method.score(batch=part, num_samples=len(part[1]))
        return torch.as_tensor(method.finalize_scores(exp_name=name)).clone().T

    return score


ROWS = {
    "traker512": Row("projection", "TRAKer, 512 dimensions, float32, no ridge", "none", partial(trak, dimension=512)),
    "traker2048": Row(
        "projection", "TRAKer, 2048 dimensions (default), float32, no ridge", "none", partial(trak, dimension=2048)
    ),
}

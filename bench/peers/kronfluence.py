"""kronfluence 1.0.1: gradient products preconditioned by nothing, a diagonal, KFAC or EKFAC of the true Fisher.

It sees linear and convolutional layers only, and neither the penalty nor other parameters. The labels that the true
Fisher needs are sampled in the task, from torch's global generator, whose seed is set here. Training gradients are
computed anew for each set of queries.
"""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.peers.question import Question
from bench.peers.row import Row, Score

MODULES = ("kronfluence.analyzer", "kronfluence.arguments", "kronfluence.task")
BATCH = 500


def _task() -> Any:
    from kronfluence.task import Task

    class Classification(Task):
        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
            inputs, targets = batch
            output = model(inputs)
            if sample:
                with torch.no_grad():
                    targets = torch.multinomial(output.detach().softmax(-1), 1)[:, 0]
            return F.cross_entropy(output, targets, reduction="sum")

        def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
            return self.compute_train_loss(batch, model)

    return Classification()


def factors(question: Question, strategy: str, damping: float | None = 0.0) -> Score:
    """``damping``: 0 stands for the question's, None for the library's own rule."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments

    torch.manual_seed(0)
    task = _task()
    model = prepare_model(question.model, task)
    folder = tempfile.mkdtemp(prefix="kronfluence-")
    analyzer = Analyzer("race", model, task, cpu=True, disable_tqdm=True, output_dir=folder)
    analyzer.fit_all_factors(
        "fit", question.dataset(), per_device_batch_size=BATCH, factor_args=FactorArguments(strategy=strategy)
    )
    arguments = ScoreArguments(damping_factor=question.damping if damping == 0.0 else damping)

    def score(count: int) -> Tensor:
        name = f"first-{count}"
        analyzer.compute_pairwise_scores(
            name,
            "fit",
            query_dataset=question.dataset(question.first(count)),
            train_dataset=question.dataset(),
            per_device_query_batch_size=min(count, BATCH),
            per_device_train_batch_size=BATCH,
            score_args=arguments,
            overwrite_output_dir=True,
        )
        found: Tensor = analyzer.load_pairwise_scores(name)["all_modules"]
        return found

    return score


FISHER = "true Fisher (sampled labels), damping as asked"
ROWS = {
    "kronfluence_identity": Row("gradients", "strategy identity", "none", partial(factors, strategy="identity")),
    "kronfluence_kfac": Row("factored", f"strategy kfac, {FISHER}", "no", partial(factors, strategy="kfac")),
    "kronfluence_diagonal": Row(
        "diagonal", f"strategy diagonal, {FISHER}", "no", partial(factors, strategy="diagonal")
    ),
    "kronfluence_ekfac": Row("factored", f"strategy ekfac, {FISHER}", "no", partial(factors, strategy="ekfac")),
    "kronfluence_ekfac_defdamp": Row(
        "factored",
        "strategy ekfac, true Fisher, damping by its rule (0.1 of the mean eigenvalue a layer)",
        "no",
        partial(factors, strategy="ekfac", damping=None),
    ),
}

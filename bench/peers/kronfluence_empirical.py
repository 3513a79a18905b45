"""Scores of kronfluence's EKFAC with the empirical Fisher matrix, in its own environment: QUESTION.pt ANSWER.pt.

The empirical Fisher matrix draws no labels, so that the answer can be compared to rounding.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

QUERIES, ROWS = 30, 200


def network() -> nn.Module:
    """Images [n, 1, 8, 8] to logits [n, 10]: linear and convolutional layers, with and without a stride."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2),
        nn.Tanh(),
        nn.Conv2d(6, 8, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(32, 12),
        nn.Tanh(),
        nn.Linear(12, 10),
    )


def answer(question: dict[str, Any]) -> dict[float, Tensor]:
    """Scores [query, train] in float64 by damping."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    class Classification(Task):
        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
            inputs, targets = batch
            return F.cross_entropy(model(inputs), targets, reduction="sum")

        def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
            return self.compute_train_loss(batch, model)

    module = network().double()
    module.load_state_dict(question["state"])
    task = Classification()
    model = prepare_model(module.eval(), task)
    folder = tempfile.mkdtemp(prefix="kronfluence-")
    analyzer = Analyzer("agreement", model, task, cpu=True, disable_tqdm=True, output_dir=folder)
    double = torch.float64
    factors = FactorArguments(
        strategy="ekfac",
        use_empirical_fisher=True,
        activation_covariance_dtype=double,
        gradient_covariance_dtype=double,
        eigendecomposition_dtype=double,
        per_sample_gradient_dtype=double,
        lambda_dtype=double,
    )
    train, queries = TensorDataset(*question["train"]), TensorDataset(*question["queries"])
    analyzer.fit_all_factors("fit", train, per_device_batch_size=ROWS, factor_args=factors)
    found = {}
    for damping in question["dampings"]:
        arguments = ScoreArguments(
            damping_factor=damping, score_dtype=double, per_sample_gradient_dtype=double, precondition_dtype=double
        )
        name = f"damping-{damping}"
        analyzer.compute_pairwise_scores(
            name,
            "fit",
            query_dataset=queries,
            train_dataset=train,
            per_device_query_batch_size=QUERIES,
            per_device_train_batch_size=ROWS,
            score_args=arguments,
        )
        found[damping] = analyzer.load_pairwise_scores(name)["all_modules"].double()
    return found


if __name__ == "__main__":
    torch.save(answer(torch.load(sys.argv[1])), sys.argv[2])

"""Our EKFAC against kronfluence's at equal damping: Pearson for each query, in float64.

Bar: at least 0.999. A network with convolutions on scikit-learn's digits, no penalty (kronfluence knows none), the
empirical Fisher matrix, 30 queries, 1,200 training examples.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import whence as wh
from bench.peers.environments import python_of
from bench.peers.kronfluence_empirical import QUERIES, network
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.retraining.adam import Adam

COUNT, DAMPINGS = 1200, (0.01, 0.1)


def run() -> dict[str, object]:
    """The least and the median Pearson over the queries, by damping."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16.0, dtype=torch.float64)[:, None]
    targets = torch.tensor(digits.target)
    train = (images[:COUNT], targets[:COUNT])
    queries = (images[COUNT : COUNT + QUERIES], targets[COUNT : COUNT + QUERIES])
    torch.manual_seed(0)
    module = network().double().eval()
    task = wh.Classification(module, weight_decay=0.0)
    trained = Adam(300, 100, 0.01).train(objective_of(task, wh.as_examples(train)))
    load_vector(module, task.layout, trained.theta)
    theirs = _theirs({"state": module.state_dict(), "train": train, "queries": queries, "dampings": DAMPINGS})
    task = wh.Classification(module, weight_decay=0.0)
    found: dict[str, object] = {"queries": QUERIES, "training examples": COUNT}
    for damping in DAMPINGS:
        method = wh.InfluenceFunction(wh.Factored(), damping, wh.Approximation("ekfac", fisher="empirical"))
        ours = method.fit(task, train).attribute(queries).values
        each = [float(np.corrcoef(*pair)[0, 1]) for pair in zip(ours, theirs[damping].numpy(), strict=True)]
        found[f"Pearson at damping {damping} (bar 0.999)"] = {"least": min(each), "median": statistics.median(each)}
    return found


def _theirs(question: dict[str, object]) -> dict[float, torch.Tensor]:
    with tempfile.TemporaryDirectory() as room:
        asked, answered = Path(room) / "question.pt", Path(room) / "answer.pt"
        torch.save(question, asked)
        child = ["-m", "bench.peers.kronfluence_empirical", asked, answered]
        subprocess.run([python_of("kronfluence"), *child], check=True, cwd=Path(__file__).parents[1])
        found: dict[float, torch.Tensor] = torch.load(answered)
        return found

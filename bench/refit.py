"""One leave-one-out refit on digits: a proximal refit to a certified gradient norm against 30,000 steps of Adam.

Adam is timed on ``ADAM_SAMPLE`` steps, and 30,000 are that many times longer: the steps are all alike.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from whence.curvature.hessian import Hessian
from whence.curvature.operator import Matrix
from whence.datasets import digits
from whence.mapping import SerialMapper
from whence.models import small_all_cnn
from whence.objective import objective_of
from whence.parameters import load_vector
from whence.retraining import Adam, Proximal
from whence.tasks import Classification

ADAM_STEPS, ADAM_SAMPLE, REMOVALS, DAMPING = 30_000, 500, 20, 0.05


def run(rounds: int = 3) -> dict[str, object]:
    """Median seconds a refit, gradients a refit, and how many times longer Adam takes."""
    train, _ = digits()
    module = small_all_cnn(0)
    task = Classification(module, weight_decay=1e-3)
    trained = Adam(4000, 100, 1e-2, "one-cycle").train(objective_of(task, train))
    load_vector(module, task.layout, trained.theta)
    matrix = Matrix(Hessian(objective_of(task, train)).dense())
    objective = objective_of(task, train, torch.float64)
    refit, adam = Proximal(DAMPING, curvature=matrix), Adam(ADAM_SAMPLE, 100, 1e-5)
    start = time.perf_counter()
    shared = refit.prepare(objective, SerialMapper())
    preparation = time.perf_counter() - start
    positions = np.random.default_rng(0).choice(len(train), REMOVALS, replace=False)
    seconds, gradients, steps = [], [], []
    for position in positions:
        start = time.perf_counter()
        found = refit.refit(objective, shared, torch.tensor([position]), 0)
        seconds.append(time.perf_counter() - start)
        gradients.append(found.evaluations)
        if not found.converged:
            raise RuntimeError("a refit did not converge: its time means nothing")
    for _ in range(rounds):
        start = time.perf_counter()
        adam.train(objective)
        steps.append((time.perf_counter() - start) / ADAM_SAMPLE)
    refit_seconds = statistics.median(seconds)
    return {
        "refits": REMOVALS,
        "seconds a proximal refit (median)": refit_seconds,
        "full gradients a refit (median, bar 12)": statistics.median(gradients),
        "seconds to prepare, once a model, Hessian not counted": preparation,
        "seconds of 30,000 Adam steps (extrapolated)": statistics.median(steps) * ADAM_STEPS,
        "Adam / proximal": statistics.median(steps) * ADAM_STEPS / refit_seconds,
    }

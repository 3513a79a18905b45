"""Influence of 5,500 MNIST images on one test loss by conjugate gradients, at a trained all-CNN's checkpoint.

Bars on two CPU cores: within 40 s from nothing, preconditioner included, at a relative residual of at most 1e-4; each
further test image within 15 s.
"""

from __future__ import annotations

import statistics
import time

import whence as wh
from whence.datasets import koh_liang_subset
from whence.models import all_cnn
from whence.parameters import load_checkpoint

FIRST, FURTHER = 6558, 8605


def run(mnist: str, checkpoint: str, rounds: int = 3) -> dict[str, object]:
    """Medians of ``rounds`` runs, each with a new fit; ``checkpoint``: ``model.safetensors`` of a MNIST run."""
    train, test = koh_liang_subset(mnist)
    net = all_cnn(0)
    load_checkpoint(net, checkpoint)
    task = wh.Classification(net, weight_decay=1e-3)
    method = wh.InfluenceFunction(wh.ConjugateGradient(tolerance=1e-4, lanczos=8), damping=0.01)
    seconds: dict[str, list[float]] = {"fit": [], "first image": [], "further image": []}
    residuals, iterations = [], []
    for _ in range(rounds):
        clock = [time.perf_counter()]
        explainer = method.fit(task, train)
        clock.append(time.perf_counter())
        for identity in (FIRST, FURTHER):
            found = explainer.attribute(test.select([identity]))
            clock.append(time.perf_counter())
            residuals.append(found.attrs["solver"]["relative_residual"])
            iterations.append(found.attrs["solver"]["iterations"])
        for name, before, after in zip(seconds, clock, clock[1:], strict=False):
            seconds[name].append(after - before)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "seconds": middle,
        "first image from nothing, s (bar 40)": middle["fit"] + middle["first image"],
        "further image, s (bar 15)": middle["further image"],
        "largest relative residual (bar 1e-4)": max(residuals),
        "iterations": iterations,
        "rounds": rounds,
    }

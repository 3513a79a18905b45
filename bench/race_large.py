"""Job b of the race: 60,000 training images x 1,000 test losses on a convolutional network of 100,634 parameters.

    WHENCE_MNIST=… python -m bench.race_large [--scale 0.1] [--references 2]

EKFAC and TRAK, by kronfluence, traker and ours. ``--scale`` takes that share of the images and of the queries; what was
run is in the result. No dense matrix of this size fits, so the reference is the damped Gauss-Newton matrix, which EKFAC
approximates, solved by conjugate gradients in float64 for a few of the queries; its relative residual is in the result.
``--references 0``: nothing is judged, and the EKFACs are compared with one another.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats

from bench.peers.environments import cache
from bench.peers.exact import solved
from bench.peers.models import build
from bench.peers.question import write
from bench.race_rows import Options, Record, entries, race, scores_of
from bench.race_sheet import RESULTS, options_of, publish, sheet
from bench.race_table import setups, table
from whence.datasets import mnist as read_mnist

IMAGES, QUERIES, WIDTH, PARAMETERS = 60_000, 1_000, 16, 100_634
PENALTY, DAMPING = 1e-4, 0.01
STEPS, BATCH, RATE = 2_000, 128, 1e-3
ROWS = (
    *("whence_ekfac_sampled", "whence_ekfac", "kronfluence_ekfac", "whence_gradient_dot", "kronfluence_identity"),
    *("whence_sampled_gauss_newton",),
    *("whence_trak512", "traker512", "whence_trak2048", "traker2048"),
)
OURS, THEIRS = ("whence_ekfac", "whence_ekfac_sampled"), "kronfluence_ekfac"


def question(mnist: str, n: int, counts: Sequence[int], width: int = WIDTH, steps: int = STEPS) -> Path:
    """The folder of the question; the network is trained on the ``n`` images, or left as it starts (``steps`` 0)."""
    train, test = read_mnist(mnist, "train"), read_mnist(mnist, "test")
    order = np.random.default_rng(0).permutation(len(test))[: max(counts)]
    chosen, queries = train[np.arange(n)].take(slice(None)), test[order].take(slice(None))
    arrays = {
        "train_inputs": np.asarray(chosen.inputs),
        "train_targets": np.asarray(chosen.targets),
        "query_inputs": np.asarray(queries.inputs),
        "query_targets": np.asarray(queries.targets),
    }
    network: tuple[str, dict[str, int]] = ("wide_cnn", {"width": width})
    state = _trained(network, arrays, steps)
    numbers = {"penalty": PENALTY, "damping": DAMPING, "counts": list(counts), "n": n, "steps": steps}
    return write(cache() / "questions", network, state, arrays, numbers)


def _trained(network: tuple[str, dict[str, int]], arrays: dict[str, Any], steps: int) -> dict[str, torch.Tensor]:
    """A short one-cycle training from a fixed seed, kept in the cache."""
    count = len(arrays["train_targets"])
    path = cache() / f"{network[0]}-{network[1]['width']}-{count}-{steps}.npz"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build(*network)
    if steps and not path.exists():
        inputs, targets = torch.from_numpy(arrays["train_inputs"]), torch.from_numpy(arrays["train_targets"])
        optimiser = torch.optim.Adam(net.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3 * RATE, total_steps=steps)
        generator = torch.Generator().manual_seed(0)
        weights = [value for value in net.parameters() if value.ndim >= 2]
        for _ in range(steps):
            rows = torch.randint(count, (min(BATCH, count),), generator=generator)
            loss = F.cross_entropy(net(inputs[rows]), targets[rows])
            loss = loss + 0.5 * PENALTY * sum(value.square().sum() for value in weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        np.savez(path, **{name: value.detach().numpy() for name, value in net.state_dict().items()})
    if not steps:
        return dict(net.state_dict())
    with np.load(path) as found:
        return {name: torch.from_numpy(found[name]) for name in found.files}


def run(
    mnist: str,
    options: Options | None = None,
    scale: float = 1.0,
    references: int = 2,
    folder: Path = RESULTS,
    name: str = "race-b",
) -> dict[str, Any]:
    """The race; table and JSON are written after every row, and the result is returned."""
    options = options or Options()
    n, queries = max(200, round(scale * IMAGES)), max(2, round(scale * QUERIES))
    place = question(mnist, n, (queries,))
    answer, known = solved(place, references) if references else (None, {})
    said = {"n": n, "queries": [queries], "parameters": PARAMETERS, "scale": scale, "reference": known}
    result: dict[str, Any] = {}

    def report(records: list[Record]) -> None:
        both = _agreement(name, place, options, queries)
        title = name if scale == 1 else f"{name}-{scale:g}"
        result.update(sheet(options, records, said), **{f"Pearson with {THEIRS}": both})
        text = [
            f"# {title}: influence of {n} MNIST images on {queries} test losses, {PARAMETERS:,} parameters",
            f"Made by `python -m bench.race_large --scale {scale:g}`; reference: {known or 'none'}.",
            table(records, (queries,)),
            f"Correlation a query with the scores of {THEIRS}: {both or 'not both are there'}.",
            setups(records),
        ]
        publish(folder, title, result, text)

    report(race(name, place, entries(ROWS), options, answer, report))
    return result


def _agreement(job: str, place: Path, options: Options, queries: int) -> dict[str, dict[str, float]]:
    """Median and smallest correlation a query of the scores of our EKFACs with the peer's, for those that are there."""
    found: dict[str, dict[str, float]] = {}
    theirs = scores_of(job, place, options, THEIRS, queries)
    for name in OURS:
        ours = scores_of(job, place, options, name, queries)
        if ours is not None and theirs is not None:
            each = [float(stats.pearsonr(a, b).statistic) for a, b in zip(ours, theirs, strict=True)]
            found[name] = {"median": float(np.median(each)), "least": min(each)}
    return found


def main() -> int:
    """Run job b, or the rows that are asked for."""
    parser = argparse.ArgumentParser(description="Job b of the race.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the images and of the queries")
    parser.add_argument("--references", type=int, default=2, help="queries that are judged; 0: none")
    asked, options = options_of(parser, ROWS)
    quick: dict[str, Any] = {"scale": 0.005, "folder": cache() / "quick"} if asked.quick else {"scale": asked.scale}
    found = run(asked.mnist, options, references=asked.references, **quick)
    print(table(found["rows"], found["question"]["queries"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

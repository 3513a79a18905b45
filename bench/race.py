"""Job a of the race: influence of 5,500 MNIST images on 1, 10 and 100 test losses at an all-CNN checkpoint.

    WHENCE_MNIST=… WHENCE_CHECKPOINT=…/model.safetensors python -m bench.race [--rows 'whence_*,traker*'] [--quick]

Every row of every peer and of ours runs in a process of its own, one at a time, with the same weights, data, question,
threads and limits. Seconds are of the fit and of each call for 1, 10 and 100 queries from the fitted state; imports,
reading the data and a warm-up pass of 32 images are outside the clock for everybody. CPU seconds are user plus system;
memory is the process's largest resident set, libraries included. A row counts if it answered the question: finite
scores that agree with the exact answer better than chance, with its sign. The exact answer is that of the damped dense
Hessian in float64. Rows that failed stay in the table with their reason.

Without WHENCE_CHECKPOINT the network is trained as the MNIST study does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.environments import cache
from bench.peers.exact import exact
from bench.peers.question import write
from bench.race_plot import frontier
from bench.race_rows import FASTER, OURS, Options, Record, entries, race, total, verdicts
from bench.race_sheet import RESULTS, options_of, publish, sheet
from bench.race_table import setups, table, verdict_table
from whence.datasets import koh_liang_subset
from whence.examples import Examples, as_examples
from whence.models import all_cnn
from whence.objective import objective_of
from whence.parameters import load_checkpoint, load_vector, save_checkpoint
from whence.plots import save_figure
from whence.studies.mnist.plan import DAMPING, ONE_CYCLE, SUBJECT, WEIGHT_DECAY
from whence.tasks import Classification

COUNTS = (1, 10, 100)
SLOW = "pydvl_cg"

# Cheapest first, by earlier runs: a race that is stopped early has then seen most rows.
ROWS = (
    *("whence_gradient_dot", "whence_tracin_last", "whence_tracin", "whence_gauss_newton_last"),
    *("whence_sampled_gauss_newton_late", "whence_gauss_newton_late"),
    *("captum_tracincp_fast", "captum_tracincp", "kronfluence_identity", "dattri_tracin"),
    *("whence_diagonal", "whence_diagonal_free", "whence_kfac", "whence_ekfac_sampled", "whence_ekfac_sampled_layer"),
    *("whence_ekfac", "whence_ekfac_layer", "whence_ekfac_layer_free", "whence_block_diagonal"),
    *("kronfluence_diagonal", "kronfluence_kfac", "kronfluence_ekfac", "kronfluence_ekfac_defdamp"),
    *("dattri_ekfac", "pydvl_ekfac", "pydvl_ekfac_conv"),
    *("whence_sampled_gauss_newton_100", "whence_sampled_gauss_newton_300", "whence_sampled_gauss_newton"),
    *("whence_trak512", "whence_trak2048", "traker512", "traker2048", "dattri_trak512", "dattri_trak2048"),
    *("whence_logra16", "whence_datainf", "dattri_datainf", "pydvl_harmonic"),
    *("whence_gauss_newton", "whence_pcg3_sampled", "whence_pcg5_sampled", "whence_pcg3", "whence_pcg5"),
    *("dattri_explicit_fc", "dattri_explicit", "dattri_cg10_asis"),
    *("whence_nystroem100", "whence_arnoldi50", "whence_lissa"),
    *("pydvl_lissa", "dattri_lissa", "dattri_cg10", "whence_cg_sampled", "whence_cg", "whence_cg_ekfac"),
    *("captum_naive_h500", "pydvl_arnoldi50", "pydvl_nystroem100", "pydvl_cg", "captum_arnoldi100"),
    *("whence_hessian", "dattri_cg100", "dattri_arnoldi", "pydvl_direct", "captum_arnoldi"),
)


def question(mnist: str, checkpoint: str | None, n: int, counts: Sequence[int], damping: float = DAMPING) -> Path:
    """The folder of the question: the first ``n`` training images and the largest of ``counts`` test images.

    The study's two test images come first, the others are drawn at random.
    """
    train, test = koh_liang_subset(mnist)
    others = np.random.default_rng(0).permutation(len(test))
    order = [SUBJECT, 8605, *(row for row in others.tolist() if row not in (SUBJECT, 8605))]
    chosen, queries = train[np.arange(n)].take(slice(None)), test[np.array(order[: max(counts)])].take(slice(None))
    net = all_cnn(0)
    load_checkpoint(net, checkpoint or _trained(train))
    arrays = {
        "train_inputs": np.asarray(chosen.inputs),
        "train_targets": np.asarray(chosen.targets),
        "query_inputs": np.asarray(queries.inputs),
        "query_targets": np.asarray(queries.targets),
    }
    numbers: dict[str, Any] = {"penalty": WEIGHT_DECAY, "damping": damping, "counts": list(counts)}
    numbers |= {"queries": order[: max(counts)], "train": "the first of Koh and Liang's 5,500 images", "n": n}
    return write(cache() / "questions", ("all_cnn", {}), net.state_dict(), arrays, numbers)


def _trained(train: Examples) -> Path:
    """The checkpoint of a quick MNIST study, trained where it is not in the cache."""
    path = cache() / "all-cnn.safetensors"
    if not path.exists():
        print("training the network (10,000 steps of Adam): set WHENCE_CHECKPOINT to skip this", file=sys.stderr)
        net = all_cnn(0)
        task = Classification(net, weight_decay=WEIGHT_DECAY)
        found = ONE_CYCLE.train(objective_of(task, as_examples(train)), seed=0)
        load_vector(net, task.layout, found.theta)
        save_checkpoint(net, path)
    return path


def run(
    mnist: str,
    checkpoint: str | None,
    options: Options | None = None,
    n: int = 5500,
    counts: Sequence[int] = COUNTS,
    damping: float = DAMPING,
    folder: Path = RESULTS,
    name: str = "race-a",
) -> dict[str, Any]:
    """The race; table, figure and JSON are written to ``folder`` after every row, and the result is returned."""
    options = options or Options()
    place = question(mnist, checkpoint, n, counts, damping)
    answer, known = exact(place)
    said = {"n": n, "queries": list(counts), "damping": damping, "folder": place.name, "exact": known}
    result: dict[str, Any] = {}

    def report(records: list[Record]) -> None:
        found, reached = verdicts(records, max(counts)), bars(records, max(counts))
        result.update(sheet(options, records, said), **{"against peers": found, "bars": reached})
        text = [
            f"# {name}: influence of {n} MNIST images on {max(counts)} test losses, all-CNN of 2,616 parameters",
            "Made by `python -m bench.race`; what is timed and what counts is said in `bench/race.py`.",
            table(records, counts),
            "## Ours against each row of a peer",
            f"At least as faithful, at no more memory, {FASTER} times as fast for fit and as many queries, up to "
            f"{max(counts)}, as the peer answered.",
            verdict_table(found),
            "## Bars",
            "\n".join(f"- {key}: {value}" for key, value in reached.items()),
            "## How each row was set up",
            setups(records),
        ]
        publish(folder, name, result, text)
        save_figure(frontier(records, max(counts), f"Influence of {n} MNIST images, all-CNN"), folder, name)

    report(race(name, place, entries(ROWS), options, answer, report))
    return result


def bars(records: Sequence[Record], count: int) -> dict[str, object]:
    """What job a asks of ours, and what was found; None where no row of ours gets there."""
    ours = [one for one in records if one["peer"] == OURS and one["counts"]]

    def least(queries: int, correlation: float) -> float | None:
        stage = f"q={queries}"
        found = [
            spent
            for one in ours
            if (spent := total(one, queries)) is not None and one["fidelity"][stage]["pearson_median"] >= correlation
        ]
        return min(found) if found else None

    slow = next((total(one, 1) for one in records if one["row"] == SLOW), None)
    return {
        f"s for {count} queries at r >= 0.9 (bar 15)": least(count, 0.9),
        "s for 1 query at r >= 0.9999 (bar 20)": least(1, 0.9999),
        f"s for {count} queries at r >= 0.9999 (bar: {SLOW} for 1)": least(count, 0.9999),
        f"{SLOW}, s for 1 query": slow,
        f"rows of peers that ours beat by {FASTER} (bar: all)": sum(one["met"] for one in verdicts(records, count)),
        "rows of peers that count": len(verdicts(records, count)),
    }


def main() -> int:
    """Run job a, or the rows that are asked for."""
    asked, options = options_of(argparse.ArgumentParser(description="Job a of the race."), ROWS)
    quick: dict[str, Any] = {}
    if asked.quick:
        # the checkpoint is no minimum for 300 of its images: their Hessian needs more damping
        quick = {"n": 300, "counts": (1, 2), "damping": 0.2, "folder": cache() / "quick"}
    found = run(asked.mnist, os.environ.get("WHENCE_CHECKPOINT"), options, **quick)
    print(table(found["rows"], quick.get("counts", COUNTS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

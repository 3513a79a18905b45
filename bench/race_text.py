"""Job c of the race: a small transformer that tells from which package of Python's library a line of documentation is.

    python -m bench.race_text [--n 400]

The text is that of the docstrings of the running Python, so nothing is fetched; the question's folder in the cache
carries the hash of it. Characters in, one block of attention, eight packages out, about 3,900 parameters: small enough
for the exact answer from the dense Hessian in float64. kronfluence and dattri see what they can of it (linear layers);
the question is about all parameters, embeddings included.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench.peers.environments import cache
from bench.peers.exact import exact
from bench.peers.models import build
from bench.peers.question import write
from bench.race_plot import frontier
from bench.race_rows import Options, Record, entries, race, verdicts
from bench.race_sheet import RESULTS, options_of, publish, sheet
from bench.race_table import setups, table, verdict_table
from whence.plots import save_figure

PACKAGES = ("asyncio", "email", "http", "importlib", "logging", "multiprocessing", "urllib", "xml")
LETTERS = "\0 abcdefghijklmnopqrstuvwxyz0123456789.,:;'\"`()[]{}<>=+-*/_#@!?&%|"
LENGTH, SHORTEST, WIDTH = 32, 24, 16
PENALTY, DAMPING = 1e-3, 0.15
STEPS, RATE = 3_000, 1e-2
COUNTS = (1, 10, 100)
ROWS = (
    *("whence_gradient_dot", "whence_tracin", "kronfluence_identity", "dattri_tracin"),
    *("whence_diagonal", "whence_kfac", "whence_ekfac_sampled", "whence_ekfac_sampled_layer"),
    *("whence_ekfac", "whence_ekfac_layer", "whence_block_diagonal"),
    *("kronfluence_diagonal", "kronfluence_kfac", "kronfluence_ekfac", "kronfluence_ekfac_defdamp", "dattri_ekfac"),
    *("whence_sampled_gauss_newton_100", "whence_sampled_gauss_newton_300", "whence_sampled_gauss_newton"),
    *("whence_trak512", "dattri_trak512", "whence_logra16", "whence_datainf", "dattri_datainf"),
    *("whence_gauss_newton", "whence_pcg3_sampled", "whence_pcg5_sampled", "whence_pcg3", "whence_pcg5"),
    *("dattri_lissa", "dattri_cg10", "whence_cg_sampled", "whence_cg", "whence_cg_ekfac"),
    *("dattri_cg100", "dattri_arnoldi"),
)


def lines_of(package: str) -> list[str]:
    """The distinct lines of a package's docstrings, in lower case and in order of the files."""
    root = Path(os.__file__).parent / package
    found: dict[str, None] = {}
    for path in sorted(root.rglob("*.py")):
        if "test" in str(path.relative_to(root)):
            continue
        for text in _docstrings(ast.parse(path.read_text(encoding="utf-8", errors="ignore"))):
            found.update(dict.fromkeys(" ".join(line.split()).lower() for line in text.splitlines()))
    return [line for line in found if len(line) >= SHORTEST]


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def question(n: int, counts: Sequence[int], damping: float = DAMPING, steps: int = STEPS) -> Path:
    """The folder of the question: ``n`` lines for training, others for the queries."""
    number = {letter: position for position, letter in enumerate(LETTERS)}
    rows, labels = [], []
    for label, package in enumerate(PACKAGES):
        for line in lines_of(package):
            rows.append([number.get(letter, 1) for letter in line[:LENGTH].ljust(LENGTH, "\0")])
            labels.append(label)
    order = np.random.default_rng(0).permutation(len(rows))
    if n + max(counts) > len(rows):
        raise ValueError(f"{n} lines and {max(counts)} queries are asked for; the docstrings have {len(rows)}")
    inputs, targets = np.array(rows, dtype=np.int64)[order], np.array(labels, dtype=np.int64)[order]
    asked = slice(n, n + max(counts))
    arrays = {"train_inputs": inputs[:n], "train_targets": targets[:n]}
    arrays |= {"query_inputs": inputs[asked], "query_targets": targets[asked]}
    options = {"letters": len(LETTERS), "length": LENGTH, "width": WIDTH, "classes": len(PACKAGES)}
    state, accuracy = _trained(options, arrays, steps)
    numbers = {"penalty": PENALTY, "damping": damping, "counts": list(counts), "n": n, "accuracy": accuracy}
    return write(cache() / "questions", ("text_transformer", options), state, arrays, numbers)


def _trained(
    options: dict[str, int], arrays: dict[str, Any], steps: int
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Full gradients of Adam on a one-cycle schedule; the weights, and the accuracies on training and query lines."""
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    name = f"text-{len(arrays['train_targets'])}-{steps}-{int(arrays['train_inputs'].sum())}.npz"
    path = cache() / name
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build("text_transformer", options)
    if path.exists():
        with np.load(path) as found:
            net.load_state_dict({key: torch.from_numpy(found[key]) for key in found.files})
    else:
        optimiser = torch.optim.Adam(net.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        weights = [value for value in net.parameters() if value.ndim >= 2]
        for _ in range(steps):
            loss = F.cross_entropy(net(tensors["train_inputs"]), tensors["train_targets"])
            loss = loss + 0.5 * PENALTY * sum(value.square().sum() for value in weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        np.savez(path, **{key: value.detach().numpy() for key, value in net.state_dict().items()})
    with torch.no_grad():
        right = [
            float((net(tensors[f"{part}_inputs"]).argmax(1) == tensors[f"{part}_targets"]).float().mean())
            for part in ("train", "query")
        ]
    return {key: value.detach() for key, value in net.state_dict().items()}, right


def run(
    options: Options | None = None,
    n: int = 400,
    counts: Sequence[int] = COUNTS,
    steps: int = STEPS,
    damping: float = DAMPING,
    folder: Path = RESULTS,
    name: str = "race-c",
) -> dict[str, Any]:
    """The race; table, figure and JSON are written to ``folder`` after every row, and the result is returned."""
    options = options or Options()
    place = question(n, counts, damping, steps)
    answer, known = exact(place, at_once=32)
    said = {"n": n, "queries": list(counts), "damping": damping, "folder": place.name, "exact": known}
    result: dict[str, Any] = {}

    def report(records: list[Record]) -> None:
        found = verdicts(records, max(counts))
        result.update(sheet(options, records, said), **{"against peers": found})
        text = [
            f"# {name}: influence of {n} lines of text on {max(counts)} test losses, a small transformer",
            f"Made by `python -m bench.race_text --n {n}`; damping {damping:g}.",
            table(records, counts),
            "## Ours against each row of a peer",
            verdict_table(found),
            "## How each row was set up",
            setups(records),
        ]
        publish(folder, name, result, text)
        save_figure(frontier(records, max(counts), f"Influence of {n} lines of text, transformer"), folder, name)

    report(race(name, place, entries(ROWS), options, answer, report))
    return result


def main() -> int:
    """Run job c, or the rows that are asked for."""
    parser = argparse.ArgumentParser(description="Job c of the race.")
    parser.add_argument("--n", type=int, default=400, help="lines for training")
    parser.add_argument("--damping", type=float, default=DAMPING)
    asked, options = options_of(parser, ROWS, mnist=False)
    quick: dict[str, Any] = {"n": asked.n, "damping": asked.damping}
    if asked.quick:
        quick = {"n": 150, "counts": (1, 2), "steps": 300, "damping": 1.0, "folder": cache() / "quick"}
    found = run(options, **quick)
    print(table(found["rows"], found["question"]["queries"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the jobs of the race share: their options, and how a result is written down."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache as once
from pathlib import Path
from typing import Any

import torch

from bench.peers import environments
from bench.peers.environments import EnvironmentFailed
from bench.peers.run import Limits
from bench.race_rows import Options, Record
from bench.timing import machine

RESULTS = Path(__file__).parent / "results"


def options_of(
    parser: argparse.ArgumentParser, names: Sequence[str], mnist: bool = True
) -> tuple[argparse.Namespace, Options]:
    """The options that all jobs share, with ``mnist``, the folder with the images; ``--quick`` is left to the job.

    Ends the program where ``--list`` asks for the ``names`` of the rows alone, or the images are missing.
    """
    parser.add_argument("--rows", default="*", help="names or patterns of rows, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="how often each row runs; medians are reported")
    parser.add_argument("--fit-limit", type=float, default=600.0, help="seconds a fit may take")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a call for scores may take")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no further row after so many minutes")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--gib", type=int, default=12, help="address space of a row; 0: no limit")
    parser.add_argument("--fresh", action="store_true", help="run rows again that have been run")
    parser.add_argument("--quick", action="store_true", help="a small question, to see that all works; no results kept")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    asked = parser.parse_args()
    limits = Limits(asked.fit_limit, asked.limit, asked.threads, asked.gib)
    rows = tuple(part.strip() for part in asked.rows.split(","))
    options = Options(rows, asked.rounds, asked.minutes, asked.fresh, limits)
    if asked.list:
        print("\n".join(name for name in names if options.asks_for(name)))
        parser.exit()
    asked.mnist = os.environ.get("WHENCE_MNIST")
    if mnist and not asked.mnist:
        parser.error("set WHENCE_MNIST to a folder with MNIST in IDX files")
    torch.set_num_threads(asked.threads)
    return asked, options


def sheet(options: Options, records: Sequence[Record], question: Mapping[str, Any]) -> dict[str, Any]:
    """A result: the question, the settings, the rows, and what is installed in each environment that took part."""
    return {
        "question": dict(question),
        "rounds asked": options.rounds,
        "threads": options.limits.threads,
        "limits, s": {"fit": options.limits.fit, "a call": options.limits.query},
        "address space, GiB": options.limits.gib,
        "rows": list(records),
        "versions": {peer: _versions(peer) for peer in sorted({record["peer"] for record in records})},
    }


def publish(folder: Path, name: str, result: Mapping[str, Any], text: Sequence[str]) -> None:
    """``name.json`` with the machine and the commit, and ``name.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    where = {**machine(), "threads": result["threads"]}
    record = {"benchmark": name, "machine": where, "result": result}
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    ran = (
        f"Processor {where['processor']}, {where['cores']} cores, {where['threads']} threads, commit {where['commit']}."
    )
    (folder / f"{name}.md").write_text("\n\n".join([text[0], ran, *text[1:]]) + "\n", encoding="utf-8")


@once
def _versions(peer: str) -> list[str] | str:
    try:
        return environments.versions_of(peer)
    except EnvironmentFailed as error:
        return str(error)

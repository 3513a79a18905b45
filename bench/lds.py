"""The linear datamodeling score of ours and of every peer's row: do scores rank what random halves of the data do?

    python -m bench.lds digits [--subsets 100] [--rows 'whence_*,traker*'] [--quick]
    WHENCE_MNIST=… WHENCE_CHECKPOINT=… python -m bench.lds mnist [--subsets 40]

digits: the network, data, penalty and damping of the digits study, and the losses of test digits drawn at random; rows
that have not been run are run. mnist: the question of job a of the race, whose finished rows are scored and none is
run; give the ``--threads`` of that race. ``--rows`` says which rows are run and scored. Each counts by its first round,
whatever ``--rounds`` says, for nothing is timed here.

Truth: refits on subsets that keep half of the training examples, proximal ones with the question's damping and, on
digits, the study's training from scratch with two seeds. Finished refits are kept in the cache, so a killed run goes
on. The bar: ours at least the best peer's, method by method; see ``bench/lds_verdict.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from bench.lds_jobs import SUBSETS, Job, on_digits, on_mnist, truths
from bench.lds_table import lds_table, verdict_table
from bench.lds_verdict import REFERENCE, bar, judged, verdicts
from bench.peers.environments import cache
from bench.peers.exact import exact
from bench.race import ROWS
from bench.race_rows import Options, Record, entries, race, scores_of
from bench.race_sheet import RESULTS, options_of, publish, sheet
from bench.race_table import setups
from whence.evaluation.bootstrap import Bootstrap

EXACT = "exact answer"
Matrix: TypeAlias = npt.NDArray[np.float64]


def run(job: Job, options: Options | None = None, folder: Path = RESULTS) -> dict[str, Any]:
    """Truth, rows and verdicts; the tables and JSON are written to ``folder``, and the result is returned."""
    options = replace(options or Options(), rounds=1)
    measured = truths(job)
    answer, known = exact(job.place)
    begun = options if job.runs else replace(options, rows=(), fresh=False)
    records = [one for one in race(job.race, job.place, entries(ROWS), begun, answer) if options.asks_for(one["row"])]
    missing = [name for name in ROWS if options.asks_for(name) and name not in {one["row"] for one in records}]
    arrays = {one["row"]: (one["peer"], _scores(job, options, one["row"])) for one in records if one["counts"]}
    arrays[EXACT] = (REFERENCE, answer)
    said = {"n": answer.shape[1], "queries": list(job.counts), "folder": job.place.name, "exact": known}
    result = sheet(options, records, said) | {"missing": missing, "truths": {}}
    text = [
        f"# {job.name}: linear datamodeling scores of {len(arrays) - 1} rows",
        f"Made by `python -m bench.lds {job.name[4:]}`; what truth is and what is asked is said in `bench/lds.py`, how "
        f"rows are compared in `bench/lds_verdict.py`. The {EXACT} is influence with the damped dense Hessian.",
    ]
    for name, truth in measured.items():
        found = _against(truth, arrays)
        result["truths"][name] = found
        text += _sections(name, found)
    text += ["## Rows that are not scored", _left_out(records, missing), "## How each row was set up", setups(records)]
    publish(folder, job.name, result, text)
    return result


def _scores(job: Job, options: Options, row: str) -> Matrix:
    """Of as many queries as the row answered."""
    kept = (scores_of(job.race, job.place, options, row, count) for count in sorted(job.counts, reverse=True))
    return next(scores for scores in kept if scores is not None)


def _against(truth: xr.Dataset, arrays: Mapping[str, tuple[str, Matrix]]) -> Record:
    """What the truth is, every row's score on it, and the bar method by method."""
    rows = [judged(row, peer, values, truth) for row, (peer, values) in arrays.items()]
    found = verdicts(rows, Bootstrap())
    facts = {name: truth.attrs[name] for name in ("kind", "damping", "chosen", "precision")}
    facts |= {"seeds": truth.sizes["seed"], "refits not converged": int((~truth["converged"]).sum())}
    return {"truth": facts, "rows": [one.score for one in rows], "verdicts": found, "bar": bar(found)}


def _sections(name: str, found: Record) -> list[str]:
    facts = "; ".join(f"{key}: {value}" for key, value in found["truth"].items() if value is not None)
    return [
        f"## Truth {name}",
        f"{facts[:1].upper()}{facts[1:]}.",
        lds_table(found["rows"]),
        f"### Ours against the best peer, truth {name}",
        verdict_table(found["verdicts"]),
        "\n".join(f"- {key}: {value}" for key, value in found["bar"].items()),
    ]


def _left_out(records: Sequence[Record], missing: Sequence[str]) -> str:
    lines = [f"- `{one['row']}`: {one['status']}" for one in records if not one["counts"]]
    return "\n".join([*lines, *(f"- `{name}`: has not been run" for name in missing)]) or "None."


def main() -> int:
    """Score the rows of one job, or those that are asked for."""
    parser = argparse.ArgumentParser(description="Linear datamodeling scores of the race's rows.")
    parser.add_argument("job", choices=SUBSETS, help="mnist scores the rows that bench.race has finished")
    parser.add_argument("--subsets", type=int, help=f"random halves, by default {SUBSETS}; 10 with --quick")
    parser.add_argument("--proximal", action="store_true", help="proximal refits alone, no training from scratch")
    asked, options = options_of(parser, ROWS, mnist=False)
    if asked.job == "mnist" and not asked.mnist:
        parser.error("set WHENCE_MNIST to a folder with MNIST in IDX files")
    subsets = asked.subsets or (10 if asked.quick else SUBSETS[asked.job])
    quick: dict[str, Any] = {}
    if asked.job == "digits":
        if asked.quick:
            quick = {"n": 200, "steps": 200, "damping": 0.5, "count": 4}
        job = on_digits(subsets, **quick)
        job = replace(job, recipe=None) if asked.proximal else job
    else:
        if asked.quick:
            quick = {"n": 300, "counts": (1, 2), "damping": 0.2}
        job = on_mnist(asked.mnist, os.environ.get("WHENCE_CHECKPOINT"), subsets, **quick)
    found = run(job, options, cache() / "quick" if asked.quick else RESULTS)
    print("\n\n".join(part for name, one in found["truths"].items() for part in _sections(name, one)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The race: rows one after another, each in a process of its own, and what they come to beside the exact answer.

Finished rows are kept in the cache and not run again, so that a race goes on where it was stopped. A row of a peer is
run anew when its file here has changed, a row of ours when the package has.
"""

from __future__ import annotations

import fnmatch
import hashlib
import importlib
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bench.peers.environments import cache
from bench.peers.judge import judge
from bench.peers.row import Row
from bench.peers.run import ROOT, Limits, Run, read, run

PEERS = ("captum", "kronfluence", "dattri", "pydvl", "traker", "whence")
OURS = "whence"
FASTER = 1.5
Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """``rows``: patterns of names; ``rounds``: how often each row runs; ``minutes``: when no further row is begun."""

    rows: tuple[str, ...] = ("*",)
    rounds: int = 3
    minutes: float = 600.0
    fresh: bool = False
    limits: Limits = field(default_factory=Limits)

    def asks_for(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.rows)


@dataclass(frozen=True)
class Entry:
    """A row of a peer under its name."""

    name: str
    peer: str
    row: Row

    @property
    def version(self) -> str:
        """Of what the row does: the peer's file, and for ours the package."""
        digest = hashlib.sha256((ROOT / "bench" / "peers" / f"{self.peer}.py").read_bytes())
        if self.peer == OURS:
            for path in sorted((ROOT / "src").rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:10]


def entries(names: Sequence[str] | None = None) -> list[Entry]:
    """All rows, or those that are named, in that order; raises ValueError for a name that there is not."""
    known: dict[str, Entry] = {}
    for peer in PEERS:
        module = importlib.import_module(f"bench.peers.{peer}")
        known.update({name: Entry(name, peer, row) for name, row in module.ROWS.items()})
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ValueError(f"no rows {unknown}; there are {sorted(known)}")
    return [known[name] for name in names] if names is not None else list(known.values())


def race(
    job: str,
    question: Path,
    listed: Sequence[Entry],
    options: Options,
    exact: npt.NDArray[np.float64] | None,
    report: Callable[[list[Record]], None] = lambda records: None,
) -> list[Record]:
    """Run the rows round by round, and return the records of all rows that have run; ``report`` sees them as they come.

    ``exact``: scores [query, train] of the first queries, which alone are judged, or None: then nothing is.
    """
    wanted = [entry for entry in listed if options.asks_for(entry.name)]
    versions = {entry.name: entry.version for entry in listed}
    place = partial(_place, job, question, options, versions)
    begun = time.monotonic()

    judged: dict[str, tuple[int, Record]] = {}

    def records() -> list[Record]:
        for entry in listed:
            runs = _runs([place(entry, number) for number in range(options.rounds)])
            if runs and judged.get(entry.name, (0,))[0] != len(runs):
                judged[entry.name] = len(runs), record(entry, runs, exact)
        return [judged[entry.name][1] for entry in listed if entry.name in judged]

    if options.fresh:
        for entry in wanted:
            shutil.rmtree(place(entry, 0).parent, ignore_errors=True)
    for number in range(options.rounds):
        for entry in wanted:
            earlier = _runs([place(entry, before) for before in range(number)])
            if any(one.reason for one in earlier) or (entry.name in judged and not judged[entry.name][1]["counts"]):
                continue  # what failed or overran once is not tried again
            if time.monotonic() - begun > 60 * options.minutes:
                say(f"{options.minutes:.0f} minutes are over: {entry.name} and what follows it is left for another run")
                return records()
            say(f"round {number + 1}: {entry.name}")
            found = run(question, entry.peer, entry.name, place(entry, number), options.limits)
            judged.pop(entry.name, None)
            spent = ", ".join(f"{stage} {figures['seconds']:.1f} s" for stage, figures in found.stages.items())
            say(f"  {spent or 'nothing'}{'; ' + found.reason if found.reason else ''}")
            report(records())
    return records()


def scores_of(job: str, question: Path, options: Options, name: str, count: int) -> npt.NDArray[np.float64] | None:
    """The scores [query, train] that a row left in its first round, or None."""
    (entry,) = entries([name])
    path = _place(job, question, options, {name: entry.version}, entry, 0) / f"scores-{count}.npz"
    if not path.exists():
        return None
    with np.load(path) as found:
        scores: npt.NDArray[np.float64] = found["scores"].astype(np.float64)
    return scores


def record(entry: Entry, runs: Sequence[Run], exact: npt.NDArray[np.float64] | None) -> Record:
    """One row: medians over its runs, its fidelity, and why it does not count, if it does not."""
    stages = [stage for stage in runs[0].stages if all(stage in one.stages for one in runs)]

    def middle(figure: str) -> dict[str, float]:
        return {stage: statistics.median(one.stages[stage][figure] for one in runs) for stage in stages}

    fidelity: dict[str, Any] = {}
    complaint = ""
    for stage in stages if exact is not None else ():
        if stage.startswith("q="):
            with np.load(runs[0].folder / f"scores-{stage[2:]}.npz") as found:
                judgement = judge(found["scores"][: len(exact)], exact[: int(stage[2:])])
            if isinstance(judgement, str):
                complaint = judgement
            else:
                fidelity[stage] = judgement.record()
                complaint = judgement.complaint
    reason = next((one.reason for one in runs if one.reason), "")
    answered = bool(fidelity) if exact is not None else any(stage.startswith("q=") for stage in stages)
    return {
        "row": entry.name,
        "peer": entry.peer,
        "kind": entry.row.kind,
        "setup": entry.row.setup,
        "penalty": entry.row.penalty,
        "rounds": len(runs),
        "seconds": middle("seconds"),
        "processor seconds": middle("processor"),
        "peak MB": max(one.peak for one in runs),
        "MB before the fit": max(one.idle for one in runs),
        "fidelity": fidelity,
        "status": "; ".join(part for part in (complaint, reason) if part) or "ok",
        "counts": answered and not complaint,
        "load at start": [round(one.load, 2) for one in runs],
        "at": [one.at for one in runs],
        "version": entry.version,
    }


def total(found: Record, count: int) -> float | None:
    """Seconds from nothing to the answer for ``count`` queries, or None if the row never got there."""
    seconds = found["seconds"]
    return seconds["fit"] + seconds[f"q={count}"] if f"q={count}" in seconds else None


def best_fidelity(found: Record) -> dict[str, Any] | None:
    """The fidelity at the largest number of queries that was answered."""
    return list(found["fidelity"].values())[-1] if found["fidelity"] else None


def verdicts(records: Sequence[Record], count: int) -> list[Record]:
    """For each row of a peer that counts: the row of ours that should beat it, and whether it does.

    It should be at least as faithful (to 0.0005), use no more memory and be at least 1.5 times as fast from nothing to
    ``count`` queries; where the peer did not get that far, to as many as it answered, for both alike.
    """
    found = []
    for theirs in records:
        if theirs["peer"] == OURS or not theirs["counts"]:
            continue
        stage = f"q={count}" if f"q={count}" in theirs["seconds"] else list(theirs["seconds"])[-1]
        queries, goal = int(stage[2:]), best_fidelity(theirs)
        spent = total(theirs, queries)
        said: Record = {"row": theirs["row"], "queries": queries, "seconds": spent, "ours": None, "met": False}
        if goal is not None and spent is not None:
            said["pearson_median"] = goal["pearson_median"]
            faithful = [
                one
                for one in records
                if one["peer"] == OURS
                and one["counts"]
                and total(one, queries) is not None
                and one["fidelity"][stage]["pearson_median"] >= goal["pearson_median"] - 5e-4
            ]
            fits = [one for one in faithful if one["peak MB"] <= theirs["peak MB"]]
            if faithful:
                chosen = min(fits or faithful, key=lambda one: total(one, queries) or float("inf"))
                faster = spent / (total(chosen, queries) or float("inf"))
                said |= {
                    "ours": chosen["row"],
                    "times as fast": faster,
                    "times its memory": chosen["peak MB"] / theirs["peak MB"],
                    "met": bool(fits) and faster >= FASTER,
                }
        found.append(said)
    return found


def _place(job: str, question: Path, options: Options, versions: Mapping[str, str], entry: Entry, number: int) -> Path:
    """Where a round of a row is kept."""
    below = cache() / "rows" / job / question.name / f"threads-{options.limits.threads}"
    return below / entry.name / versions[entry.name] / f"round-{number}"


def _runs(places: Sequence[Path]) -> list[Run]:
    return [read(place) for place in places if (place / "ended.json").exists()]


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)

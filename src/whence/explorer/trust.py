"""How far the scores of a query can be trusted, as numbers and as a sentence for someone who is no specialist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whence.explorer.packed import number
from whence.explorer.reader import Reader
from whence.explorer.scores import Scores

VERDICTS = ((0.9, "almost exactly as"), (0.7, "much as"), (0.4, "only roughly as"))
"""By the lower end of the interval of r: how the scores foretold what refits then did."""


def trust(reader: Reader, kept: Scores, query: int, unscored: int) -> dict[str, Any]:
    """``trust`` of ``/api/why``. ``unscored``: training examples whose score is missing or not finite."""
    converged, residual = kept.solve(query)
    rows = [_row(row) for row in reader.agreement(kept.name, query)]
    refits = max((len(truth.of(query)[0]) for truth in reader.comparable(kept)), default=0)
    report = kept.facts.solver
    return {
        "solver": str(report.get("name", "none")),
        "converged": converged,
        "relative_residual": residual,
        "damping": kept.facts.damping,
        **{name: number(report.get(name)) for name in ("lambda_min", "lambda_max")},
        "words": _words(kept, query, _of_solve(kept, converged, residual), _of_refits(kept, rows, refits), unscored),
        "agreement": rows,
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row about agreement, as the page is told."""
    names = {"n": "n", "pearson": "pearson", "low": "pearson_low", "high": "pearson_high", "spearman": "spearman"}
    told = {name: number(row.get(column)) for name, column in names.items()}
    return {"truth": row["truth"], "sample": row["sample"], **told}


def _words(kept: Scores, query: int, solve: str, refits: str, unscored: int) -> str:
    if kept.rows[query] < 0:
        return f"{kept.facts.label or kept.name} was not computed for this query: choose another method."
    said = f"{solve}; {refits}."
    if unscored:
        examples = "1 training example has" if unscored == 1 else f"{unscored:,} training examples have"
        said += f" {examples} no score here and cannot be among the strongest."
    return said


def _of_solve(kept: Scores, converged: bool, residual: float | None) -> str:
    facts = kept.facts
    if not facts.signed:
        return f"These numbers state {facts.quantity}: they say what is alike, not what helped or harmed"
    if not facts.additive:
        return (
            f"These numbers state {facts.quantity}, not a change of this prediction: only their order means something"
        )
    if not facts.solved:
        return "This method solves no equations that could fail"
    if not converged:
        left = "" if residual is None else f" (relative residual {residual:.2g})"
        return f"The calculation did NOT settle{left}, so take this list as a hint at most"
    if not facts.damping:
        return "The calculation settled, and gives an estimate"
    near = f"of how the model would move if it stayed near where it is (damping {facts.damping:g})"
    return f"The calculation settled, and gives an estimate {near}"


def _of_refits(kept: Scores, rows: list[dict[str, Any]], refits: int) -> str:
    if not kept.facts.additive:
        ranked = [row for row in rows if row["spearman"] is not None]
        return _ranks(ranked[0]) if ranked else "no refit can be laid beside them"
    measured = [row for row in rows if row["pearson"] is not None and row["low"] is not None]
    if not measured and refits:
        stand = "1 refit stands" if refits == 1 else f"{refits:,} refits stand"
        return f"{stand} beside it for this query, but nobody has worked out how well they agree"
    if not measured:
        return "no refits have checked it for this query, so verify before you act on it"
    parts = [
        f"r = {row['pearson']:.2f}, 95 % interval {row['low']:.2f} to {row['high']:.2f}, {_sample(row)}"
        for row in _of_one_truth(measured)
    ]
    lowest = min(row["low"] for row in _of_one_truth(measured))
    verdict = next((words for least, words in VERDICTS if lowest >= least), "NOT reliably as")
    return f"real refits without single examples moved this prediction {verdict} foretold ({'; '.join(parts)})"


def _ranks(row: Mapping[str, Any]) -> str:
    return f"beside {_sample(row)} their order agrees by a rank correlation of {row['spearman']:.2f}"


def _of_one_truth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows about the truth with most refits."""
    best = max(rows, key=lambda row: row["n"] or 0)["truth"]
    return [row for row in rows if row["truth"] == best]


def _sample(row: Mapping[str, Any]) -> str:
    kind = "" if row["sample"] in ("", "all") else f"{row['sample']} "
    return f"{row['n']} {kind}refits"

"""What ``whence attribute`` reports of scores: the strongest examples of each query, and how far to trust them."""

from __future__ import annotations

from typing import Any

import xarray as xr

from whence.studies.study import Report

KEPT = ("method", "quantity", "unit", "sign", "damping", "solver", "task", "objective", "checkpoint", "precision")


def report_of(scores: xr.DataArray, k: int) -> Report:
    """A table of the ``k`` most helpful and most harmful examples of each query, and sentences about the solve."""
    attrs = scores.attrs
    report = Report("attribute", facts={"top": k, **{name: attrs[name] for name in KEPT}})
    report.tables["top examples"] = scores.whence.top(k)
    count = f"{scores.sizes['query']} queries, {scores.sizes['train']} training examples"
    report.sentences.append(f"{attrs['method']}: {attrs['quantity']} in {attrs['unit']}; {count}.")
    report.sentences.append(f"Sign: {attrs['sign']}.")
    report.sentences += _of_solve(scores)
    if "verification" in attrs:
        report.tables["verified by refits"] = scores.whence.verified()
        report.sentences.append(_of_refits(attrs["verification"]))
    return report


def _of_solve(scores: xr.DataArray) -> list[str]:
    solver = scores.attrs["solver"]
    if solver["name"] == "none":
        return []
    damping = scores.attrs["damping"]  # None: the method's solves have none
    words = solver["name"] + ("" if damping is None else f", damping {damping:g}")
    words += f", {solver['iterations']} iterations, relative residual {solver['relative_residual']:.2g}"
    automatic = scores.attrs.get("notes", {}).get("automatic_damping")
    reason = [f"Damping: {automatic['reason']}."] if automatic else []
    if solver["converged"]:
        return [f"Solved by {words}.", *reason]
    queries = scores["query"].values
    failed = queries[~scores["query_converged"].values] if "query_converged" in scores.coords else queries
    return [
        f"NOT CONVERGED for the queries {failed[:5].tolist()}{'...' if len(failed) > 5 else ''} by {words}: "
        + ("take another --method." if damping is None else "raise --damping or take --solver dense."),
        *reason,
    ]


def _of_refits(about: dict[str, Any]) -> str:
    damping = about["truth"]["damping"]
    at = f" at damping {damping:g}" if damping else ""
    failed = f", {about['unconverged']} NOT CONVERGED" if about["unconverged"] else ""
    return (
        f"Verified: {about['chosen']}, by {about['refits']} {about['truth']['kind']} refits{at}{failed}; score and "
        f"actual: {about['comparison']}."
    )

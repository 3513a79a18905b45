"""What ``whence attribute`` reports of scores: the strongest examples of each query, and how far to trust them."""

from __future__ import annotations

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
    return report


def _of_solve(scores: xr.DataArray) -> list[str]:
    solver = scores.attrs["solver"]
    if solver["name"] == "none":
        return []
    words = f"{solver['name']}, damping {scores.attrs['damping']:g}, {solver['iterations']} iterations"
    words += f", relative residual {solver['relative_residual']:.2g}"
    if solver["converged"]:
        return [f"Solved by {words}."]
    queries = scores["query"].values
    failed = queries[~scores["query_converged"].values] if "query_converged" in scores.coords else queries
    return [
        f"NOT CONVERGED for the queries {failed[:5].tolist()}{'...' if len(failed) > 5 else ''} by {words}: "
        "raise --damping or take --solver dense."
    ]

"""The schema of results: names, labels and attributes that scores and truths carry; see ``docs/conventions.md``.

Scores are ``DataArray(query, train)``; truth is a ``Dataset`` with ``effect[removed, query, seed]`` and
``member[removed, train]``. Both say the same thing in the same unit,
``m_query(parameters without the example) - m_query(parameters)``, unless ``attrs["quantity"]`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

SCHEMA = 1
SIGN = "positive = helpful: without the example the measurement would be larger"
NEAR = "larger = nearer; says nothing of help or harm"
FAR = "larger = farther; says nothing of help or harm"
REQUIRED = (
    "method",
    "quantity",
    "unit",
    "sign",
    "damping",
    "solver",
    "task",
    "objective",
    "checkpoint",
    "precision",
    "seed",
    "version",
    "schema",
)
SOLVER = ("name", "converged", "relative_residual", "iterations", "lambda_min", "lambda_max")
TRUTH_REQUIRED = ("kind", "quantity", "unit", "sign", "damping", "task", "checkpoint", "precision", "version", "schema")


class ResultError(ValueError):
    """A result that does not follow the schema, or two results that do not belong together."""


@dataclass(frozen=True)
class Labels:
    """What is known of the examples along one dimension: ids [n] and, where there are any, labels and predictions."""

    ids: npt.NDArray[Any]
    label: npt.NDArray[Any] | None = None
    prediction: npt.NDArray[Any] | None = None
    loss: npt.NDArray[Any] | None = None

    def coordinates(self, dim: str) -> dict[str, Any]:
        """xarray coordinates named ``dim``, ``dim_label``, ``dim_prediction`` and ``dim_loss``."""
        named = {"label": self.label, "prediction": self.prediction, "loss": self.loss}
        found: dict[str, Any] = {dim: self.ids}
        found |= {f"{dim}_{name}": (dim, value) for name, value in named.items() if value is not None}
        return found


def solver_report(
    name: str = "none",
    converged: bool = True,
    relative_residual: float | None = None,
    iterations: int = 0,
    lambda_min: float | None = None,
    lambda_max: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The certificate of the linear solves behind a score. ``name="none"``: the method solves nothing."""
    return {
        "name": name,
        "converged": bool(converged),
        "relative_residual": relative_residual,
        "iterations": iterations,
        "lambda_min": lambda_min,
        "lambda_max": lambda_max,
        **more,
    }


def scores(
    values: npt.NDArray[Any], query: Labels, train: Labels, attrs: Mapping[str, Any], **coords: Any
) -> xr.DataArray:
    """Scores [query, train] with their labels; raises ResultError if they break the schema."""
    coordinates = query.coordinates("query") | train.coordinates("train") | coords
    return check(xr.DataArray(values, dims=("query", "train"), coords=coordinates, name="score", attrs=dict(attrs)))


def check(array: xr.DataArray) -> xr.DataArray:
    """The array itself if it follows the schema; else ResultError says what is amiss."""
    if array.dims != ("query", "train"):
        raise ResultError(f"scores have dims ('query', 'train'), not {array.dims}")
    for dim in array.dims:
        _check_ids(array, str(dim))
    missing = [name for name in REQUIRED if name not in array.attrs]
    if missing:
        raise ResultError(f"scores lack the attributes {missing}; build them with whence.results.scores")
    report = array.attrs["solver"]
    absent = [name for name in SOLVER if not isinstance(report, Mapping) or name not in report]
    if absent:
        raise ResultError(f"the solver report lacks {absent}: a score does not exist without its certificate")
    return array


def truth(
    effect: npt.NDArray[Any],
    member: npt.NDArray[np.bool_],
    removed: npt.NDArray[Any],
    labels: tuple[Labels, Labels],
    attrs: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    seeds: npt.NDArray[np.int64] | None = None,
    coords: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Truth: ``effect`` [removed, query, seed] of removing the training examples marked by ``member`` [removed, train].

    ``labels``: those of the queries and of the training examples; ``removed``: one name a removal (for leave-one-out
    the id of the example); ``variables``, ``coords``: further ones as xarray takes them (gradient norms, distances,
    a plan ``chosen`` with its ``sample`` names ...). Raises ResultError if they break the schema.
    """
    query, train = labels
    seed = np.arange(effect.shape[2]) if seeds is None else seeds
    own = query.coordinates("query") | train.coordinates("train") | {"removed": removed, "seed": seed}
    data = {"effect": (("removed", "query", "seed"), effect), "member": (("removed", "train"), member)}
    return check_truth(xr.Dataset({**data, **(variables or {})}, coords={**(coords or {}), **own}, attrs=dict(attrs)))


def check_truth(data: xr.Dataset) -> xr.Dataset:
    """The truth itself if it follows the schema; else ResultError says what is amiss."""
    for name, dims in (("effect", ("removed", "query", "seed")), ("member", ("removed", "train"))):
        if name not in data:
            raise ResultError(f"truth lacks the variable {name!r}")
        if data[name].dims != dims:
            raise ResultError(f"{name} has dims {dims}, not {data[name].dims}")
    for dim in ("removed", "query", "train"):
        _check_ids(data, dim)
    _check_flags(data)
    missing = [name for name in TRUTH_REQUIRED if name not in data.attrs]
    if missing:
        raise ResultError(f"truth lacks the attributes {missing}; build it with whence.results.truth")
    return data


def same_quantity(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two results state the same quantity in the same unit, so that differences between them mean something."""
    return (first["quantity"], first["unit"]) == (second["quantity"], second["unit"])


def _check_ids(data: xr.DataArray | xr.Dataset, dim: str) -> None:
    if dim not in data.coords:
        raise ResultError(f"the dimension {dim!r} has no ids; results are aligned by id")
    ids = data[dim].values
    if ids.dtype.kind not in "iuU":
        raise ResultError(f"the {dim} ids must be integers or strings, not {ids.dtype}")
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ResultError(f"the {dim} ids must be unique; repeated: {_few(values[counts > 1].tolist())}")


def _check_flags(data: xr.Dataset) -> None:
    for name in ("member", "chosen", "converged"):
        if name in data and data[name].dtype != np.bool_:
            raise ResultError(f"{name} must be bool, not {data[name].dtype}; convert it with .astype(bool)")
    if "chosen" in data:
        if data["chosen"].dims != ("sample", "query", "removed"):
            raise ResultError(f"chosen is [sample, query, removed], not {data['chosen'].dims}; transpose it")
        if "sample" not in data.coords:
            raise ResultError("the samples of chosen have no names; name them with truth.assign_coords(sample=[...])")
        _check_ids(data, "sample")
    if "converged" in data and "removed" not in data["converged"].dims:
        raise ResultError(f"converged has dims {data['converged'].dims}; it needs 'removed': one flag a refit")


def _few(values: Any) -> str:
    listed = sorted(values)
    return f"{listed[:5]}" + ("..." if len(listed) > 5 else "")

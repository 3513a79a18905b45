"""What a fitted method answers: scores of queries, refits beside them, self-influence and changes of the parameters.

Labels, checks, warnings and certificates are added here, the same for all methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from whence import accessor, results, verification  # noqa: F401  the accessor is registered on import
from whence.attribution import refitted, saved
from whence.attribution.answer import Prepared
from whence.attribution.certificate import warn_unless_converged
from whence.attribution.method import AbstractMethod
from whence.examples import as_examples
from whence.gradients.labels import checked_labels
from whence.gradients.tail import Entering, Tail
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.jobs import Shelf
from whence.retraining.refit import AbstractRefit
from whence.solvers.automatic_damping import Damping, value_of


@final
@dataclass(frozen=True)
class Explainer:
    """A method prepared for one model. ``attribute`` may be called many times."""

    attributor: AbstractMethod
    objective: Objective
    prepared: Prepared
    mapper: AbstractMapper
    train_labels: results.Labels
    tail: Tail | None = None

    def attribute(
        self, queries: Any, k: int | None = None, *, verify: int | None = None, refit: AbstractRefit | None = None
    ) -> xr.DataArray:
        """Scores [query, train] in the model's precision for queries as :func:`whence.as_examples` takes them.

        With ``k``: only training examples that are among the k most helpful or k most harmful of some query.
        With ``verify``: so many of the most influential of each query are left out for real, see :meth:`verify`;
        ``scores.whence.verified()`` then lists both numbers.
        Warns where a solve did not converge; raises ValueError for bad queries.
        """
        if k is not None and k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        if verify is not None and verify < 1:
            raise ValueError(f"verify must be at least 1, not {verify}: it is how many examples a query are left out")
        if verify is None and refit is not None:
            raise ValueError("a refit is given, but verify does not say how many examples to leave out; add verify=10")
        o, examples = self.objective, as_examples(queries)
        with Entering(o.task, () if self.tail is None else self.tail.steps) as watch:
            labels = checked_labels(o, examples, "query", watch)
        works, asked = (o, examples) if self.tail is None else self.tail.asked(o, examples, watch)
        scored = self.attributor.score(works, self.prepared, asked, self.mapper)
        coords: dict[str, Any] = {}
        if scored.residual is not None:
            coords["query_residual"] = ("query", scored.residual)
        if scored.converged is not None:
            coords["query_converged"] = ("query", scored.converged)
        values = scored.values.to(torch.promote_types(o.theta.dtype, torch.float32))
        attrs = self.described(scored.solver, scored.notes)
        array = results.scores(values.detach().cpu().numpy(), labels, self.train_labels, attrs, **coords)
        warn_unless_converged(scored.solver, stacklevel=2)
        if verify is not None:
            array = self.verify(array, examples, verify, refit)
        return array if k is None else array.isel(train=verification.kept(array, k))

    @property
    def damping(self) -> float | None:
        """What was added to the curvature, as a number also where it was found; None if the method knows no damping."""
        damping: Damping | None = getattr(self.attributor, "damping", None)
        return None if damping is None else value_of(damping, self.prepared.notes)

    def verify(
        self,
        scores: xr.DataArray,
        queries: Any,
        k: int = 10,
        refit: AbstractRefit | None = None,
        shelf: Shelf | None = None,
    ) -> xr.DataArray:
        """The ``scores`` of these queries beside refits without the ``k`` most influential examples of each.

        ``refit``: what "without" means; by default what the scores predict: the proximal refit at the method's
        damping, the converged refit where that is 0, and Proximal() for methods without damping. One refit serves
        every query. Scores that are no change of the measurement can be compared with it by rank only, and
        ``attrs["verification"]`` says so. ``shelf``: keeps finished refits, as in ``whence.retraining.leave_out``.
        Warns of refits that did not converge; raises KeyError if a query of the scores is missing.
        """
        asked = as_examples(queries).select(scores["query"].values)
        chosen = refit or refitted.refit_for(self.damping, getattr(self.attributor, "curvature", None))
        return refitted.verified(scores, self.objective, asked, k, chosen, self.mapper, shelf)

    def self_influence(self) -> xr.DataArray:
        """The score of each training example for itself [train]: what removing it does to its own measurement."""
        works = self.objective if self.tail is None else self.tail.objective
        scored = self.attributor.self_score(works, self.prepared, self.mapper)
        warn_unless_converged(scored.solver, stacklevel=2)
        coords = self.train_labels.coordinates("train")
        return xr.DataArray(
            _double(scored.values),
            dims=("train",),
            coords=coords,
            name="self_influence",
            attrs=self.described(scored.solver, scored.notes),
        )

    def parameter_change(self, ids: Any) -> xr.DataArray:
        """θ without each of these training examples minus θ [train, parameter], by their ids.

        This is −1/n times I_up,params of Koh and Liang (2017), Eq. 3.4 of the thesis, with n−1 for n.
        Raises KeyError for an id that is not in the training set, TypeError if the method predicts no parameters.
        """
        wanted = self.objective.train.select(np.atleast_1d(ids))
        values = self.attributor.parameter_change(self.objective, self.prepared, wanted)
        layout = self.objective.task.layout
        names = np.repeat(layout.names, layout.sizes)
        coords = {"train": wanted.ids, "parameter_name": ("parameter", names)}
        return xr.DataArray(_double(values), dims=("train", "parameter"), coords=coords, name="parameter_change")

    def save(self, path: str | Path) -> Path:
        """Write what was prepared to a folder, whole or not at all; ``attributor.load`` reads it."""
        key = saved.identity(self.attributor.name, self.attributor.options, self.objective)
        return saved.write(Path(path), self.prepared.tensors, key, self.prepared.solver, self.prepared.notes)

    def described(self, solver: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, Any]:
        """What a result of this explainer says of itself, as ``attrs``; ``notes``: beyond those of the preparation."""
        o, method = self.objective, self.attributor
        quantity, unit = method.measured(o.task)
        return {
            "method": method.name,
            "quantity": quantity,
            "unit": unit,
            "sign": method.sign,
            "damping": self.damping,
            "solver": dict(solver),
            "task": o.task.describe(),
            "objective": o.task.objective,
            "checkpoint": o.checkpoint,
            "precision": o.precision,
            "seed": getattr(method, "seed", None),
            "options": method.options,
            "notes": {**self.prepared.notes, **notes},
            "version": _version(),
            "schema": results.SCHEMA,
        }


@cache
def _version() -> str:
    return version("whence")


def _double(values: Tensor) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = values.detach().double().cpu().numpy()
    return found

"""``verify=k``: the k most influential examples by prediction are left out for real, and both numbers are reported.

A proximal refit starts from a shared factor and costs a handful of full gradients (Bae et al., NeurIPS 2022, for what
it is; :mod:`whence.retraining.proximal` for how it is done), and one refit serves every query, so the top of a ranking
need not be believed.
"""

from __future__ import annotations

import warnings
from typing import Any

import xarray as xr

from whence import verification
from whence.curvature.operator import Matrix
from whence.examples import Examples
from whence.mapping import AbstractMapper
from whence.objective import Objective
from whence.retraining.converged import Converged
from whence.retraining.jobs import Shelf
from whence.retraining.leave_out import leave_out
from whence.retraining.proximal import Proximal
from whence.retraining.refit import AbstractRefit
from whence.solvers.dense import LARGEST


def refit_for(damping: float | None, curvature: Any = None) -> AbstractRefit:
    """What damped scores predict: the proximal refit of that strength; without damping the converged refit.

    Scores of methods without damping (None) are laid beside proximal refits of the default strength. A ``curvature``
    that is already a matrix serves as the shared factor.
    """
    factor: dict[str, Any] = {"curvature": curvature} if isinstance(curvature, Matrix) else {}
    if damping is None:
        return Proximal()
    return Proximal(damping, **factor) if damping > 0 else Converged(**factor)


def verified(
    scores: xr.DataArray,
    objective: Objective,
    queries: Examples,
    k: int,
    refit: AbstractRefit,
    mapper: AbstractMapper,
    shelf: Shelf | None = None,
) -> xr.DataArray:
    """The scores with the effects of leaving out each query's ``k`` most influential examples, one at a time.

    Warns of refits that did not converge; raises TypeError for a ``refit`` of another kind, ValueError for ``k`` < 1
    or a model too large for the factor that such refits share.
    """
    if not isinstance(refit, AbstractRefit):
        raise TypeError(f"refit must be Proximal(...), Converged(...) or another refit, not {type(refit).__name__}")
    _check_size(refit, len(objective.theta))
    chosen = verification.most_influential(scores, k)
    ids = scores["train"].values[chosen.any(0)]
    truth = leave_out(objective.task, objective.train, queries, ids, refit, mapper=mapper, shelf=shelf)
    found = verification.carried(scores, truth, chosen)
    failed = found.attrs["verification"]["unconverged"]
    if failed:
        warnings.warn(
            f"{failed} of {len(ids)} refits did not converge: take their effects with care, or give a refit with more "
            "max_evaluations or a larger strength. The result says which.",
            RuntimeWarning,
            stacklevel=3,
        )
    return found


def _check_size(refit: AbstractRefit, parameters: int) -> None:
    if isinstance(refit, Proximal | Converged) and parameters > LARGEST:
        raise ValueError(
            f"{refit.kind} refits share a dense factor of the curvature, possible up to {LARGEST:,} parameters, not "
            f"{parameters:,}: give refit=Continued(recipe, state), or study fewer parameters with only=[...]."
        )

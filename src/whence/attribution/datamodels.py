"""Datamodels (Ilyas, Park, Engstrom, Leclerc and Madry, ICML 2022): a regression from what was removed to its effect.

Given the truth of many random removals R, the effect on each query is fitted by a linear function of the membership,

    effect_q(R) ≈ b_q + Σ_{i∈R} score[q, i],    min  1/(2M) Σ_R (effect_q(R) − b_q − Σ_{i∈R} s_i)² + strength·‖s‖₁

by LASSO (their Eq. 2 and section 2), so that a score is the mean effect of leaving i out in the company of a random
removal, in the unit of the truth and with its sign: theirs is the effect of including it, which is minus that. No
gradient is taken: what is explained is retraining itself.

**How many removals.** LASSO finds s examples that matter among n from some s·log n removals if effects are little
noisy; weights of all n need several times n. The paper trains 10⁴ to 10⁶ models for n = 50,000. What a fit is worth is
not to be guessed: the share of the variance of held-out removals that it explains comes with every query, once fitted
on all removals and once on half of them (a strength found by cross-validation was chosen on the same folds, which
flatters the share a little). If the second is much lower, more removals would raise the first.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, final

import numpy as np
import numpy.typing as npt
import xarray as xr
from sklearn.linear_model import Lasso, LassoCV
from sklearn.model_selection import KFold

from whence import results

Array = npt.NDArray[np.float64]
STEPS = 10_000
WEAK = 0.1


@final
@dataclass(frozen=True)
class Datamodels:
    """``strength``: of the ℓ₁ penalty, in the unit of the effects; None: each query's own, by cross-validation.

    ``folds``: of the cross-validation, over removals in an order drawn from ``seed``.
    Raises ValueError for a strength that is not positive or fewer than two folds.
    """

    strength: float | None = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strength is not None and not self.strength > 0:
            raise ValueError(f"strength must be positive, not {self.strength}; None finds it by cross-validation")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, not {self.folds}")

    def fit(self, truth: xr.Dataset) -> xr.DataArray:
        """Scores [query, train] from a truth of removals, such as ``whence.retraining.leave_out`` of random subsets.

        Effects are averaged over seeds. Beside the labels of the truth: ``query_held_out_r2``, the share of variance
        explained in held-out folds, ``query_held_out_r2_half``, the same by fits on half as many removals,
        ``query_strength``, ``query_intercept`` and ``query_selected``, the number of scores that are not 0.
        Warns where the median of ``query_held_out_r2`` is below 0.1. Raises ResultError if the truth breaks the schema,
        ValueError if it is a leave-one-out (its effects are the scores), has fewer removals than two a fold, or holds
        effects that are not finite.
        """
        results.check_truth(truth)
        member = truth["member"].values
        effect = truth["effect"].mean("seed").transpose("removed", "query").values.astype(np.float64)
        self._check(member, effect)
        design = member.astype(np.float64)
        fitted = [self._query(design, column) for column in effect.T]
        scores = results.scores(
            np.stack([one.values for one in fitted]),
            _labels(truth, "query"),
            _labels(truth, "train"),
            self._attrs(truth, fitted),
            query_held_out_r2=("query", np.array([one.r2 for one in fitted])),
            query_held_out_r2_half=("query", np.array([one.r2_half for one in fitted])),
            query_strength=("query", np.array([one.strength for one in fitted])),
            query_intercept=("query", np.array([one.intercept for one in fitted])),
            query_selected=("query", np.array([int((one.values != 0).sum()) for one in fitted])),
        )
        self._warn(scores, len(member))
        return scores

    def _query(self, design: Array, effect: Array) -> _Fitted:
        folds = list(KFold(self.folds, shuffle=True, random_state=self.seed).split(design))
        if not effect.any():
            return _Fitted(np.zeros(design.shape[1]), 0.0, 0.0, np.nan, np.nan, 0, True)
        strength = self.strength
        if strength is None:
            strength = float(LassoCV(cv=folds, max_iter=STEPS).fit(design, effect).alpha_)
        found = Lasso(strength, max_iter=STEPS).fit(design, effect)
        r2, half = (_held_out(design, effect, folds, strength, step) for step in (1, 2))
        done = found.n_iter_ < STEPS
        return _Fitted(found.coef_, float(found.intercept_), strength, r2, half, int(found.n_iter_), bool(done))

    def _check(self, member: npt.NDArray[np.bool_], effect: Array) -> None:
        if (member.sum(1) <= 1).all():
            raise ValueError(
                "every removal takes one example: the effects of a leave-one-out are the scores already. Datamodels "
                "are fitted on removals of many examples at once, as leave_out takes them: a dict from names to ids."
            )
        if len(member) < 2 * self.folds:
            raise ValueError(f"{len(member)} removals are too few for {self.folds} folds; measure more")
        if not np.isfinite(effect).all():
            raise ValueError("some effects are not finite; leave those removals out with truth.isel(removed=...)")

    def _warn(self, scores: xr.DataArray, count: int) -> None:
        median = float(np.nanmedian(scores["query_held_out_r2"]))
        if median < WEAK:
            warnings.warn(
                f"the fit on {count} removals explains {max(median, 0):.0%} of the variance of held-out ones (median "
                f"over queries), so its scores are mostly noise: measure more removals of these "
                f"{scores.sizes['train']} training examples, or average the effects over more seeds.",
                RuntimeWarning,
                stacklevel=3,
            )

    def _attrs(self, truth: xr.Dataset, fitted: list[_Fitted]) -> dict[str, Any]:
        told = {name: truth.attrs[name] for name in ("quantity", "unit", "sign", "damping", "task", "checkpoint")}
        report = results.solver_report(
            "LASSO by coordinate descent", all(one.done for one in fitted), iterations=max(one.steps for one in fitted)
        )
        sizes = truth["member"].sum("train")
        notes = {"kind": truth.attrs["kind"], "removals": truth.sizes["removed"], "seeds": truth.sizes["seed"]}
        notes |= {"removed_share": float(sizes.mean()) / truth.sizes["train"]}
        return {
            **told,
            "method": "datamodels",
            "solver": report,
            "objective": truth.attrs.get("objective", "unknown"),
            "precision": truth.attrs["precision"],
            "seed": self.seed,
            "options": asdict(self),
            "notes": notes,
            "version": version("whence"),
            "schema": results.SCHEMA,
        }


@dataclass(frozen=True)
class _Fitted:
    """One query's weights [train], intercept and strength, what they explain elsewhere, and how the fit went."""

    values: Array
    intercept: float
    strength: float
    r2: float
    r2_half: float
    steps: int
    done: bool


def _held_out(design: Array, effect: Array, folds: list[Any], strength: float, step: int) -> float:
    """1 − Σ(error of held-out removals)² / Σ(their distance from the others' mean)², fitted on every ``step``-th."""
    left, spread = 0.0, 0.0
    for train, test in folds:
        own = train[::step]
        found = Lasso(strength, max_iter=STEPS).fit(design[own], effect[own])
        left += float(np.square(effect[test] - found.predict(design[test])).sum())
        spread += float(np.square(effect[test] - effect[own].mean()).sum())
    return 1.0 - left / spread if spread > 0 else np.nan


def _labels(truth: xr.Dataset, dim: str) -> results.Labels:
    known = {
        name: truth[f"{dim}_{name}"].values for name in ("label", "prediction", "loss") if f"{dim}_{name}" in truth
    }
    return results.Labels(truth[dim].values, **known)

"""Boosted trees that learn effects from pair features of some queries, and predict those of other queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingRegressor

from whence.predictor.features import Features
from whence.predictor.last_layer import rms

Array = npt.NDArray[np.float64]
Target: TypeAlias = Literal["rms", "asinh", "ranks"]


@dataclass(frozen=True)
class FittedBoosted:
    """Trees fitted to the features ``names``."""

    choice: Boosted
    names: tuple[str, ...]
    trees: Any

    def predict(self, features: Features) -> Array:
        """Predictions [query, train]; larger = more helpful.

        In units of the query's own root mean square effect; for ``"ranks"`` the expected normal score. How large a
        query's effects are is not predicted: a query is judged by correlation.
        Raises ValueError for other features than those learnt from.
        """
        if features.names != self.names:
            raise ValueError("these are other features than the trees have learnt from: make them the same way.")
        found = self.trees.predict(relative(features).reshape(-1, len(self.names))).reshape(features.values.shape[:2])
        restored: Array = np.sinh(found) / self.choice.steepness if self.choice.target == "asinh" else found
        return restored


@dataclass(frozen=True)
class Boosted:
    """Gradient boosting by histograms (sklearn's) of effects that are scaled query by query.

    ``target``: what is learnt of the effects e of a query: ``"rms"``: e over its root mean square; ``"asinh"``:
    asinh(``steepness``·e / root mean square), a logarithm with a sign, so that a few large effects do not rule the fit;
    ``"ranks"``: normal scores of the ranks. Features that are ``relative`` are scaled by query in the same way.
    ``smallest``: least number of pairs in a leaf.

    Raises ValueError for an unknown target or a number that is not positive.
    """

    target: Target = "asinh"
    iterations: int = 300
    learning_rate: float = 0.05
    leaves: int = 15
    smallest: int = 50
    steepness: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.target not in get_args(Target):
            raise ValueError(f"target must be one of {get_args(Target)}, not {self.target!r}")
        if min(self.iterations, self.learning_rate, self.leaves - 1, self.smallest, self.steepness) <= 0:
            raise ValueError("iterations, learning_rate, smallest and steepness must be positive, leaves 2 or more.")

    def fit(self, features: Features, effects: npt.NDArray[np.floating]) -> FittedBoosted:
        """Learn ``effects`` [query, train] from the features of the same pairs; pairs of NaN are left out.

        Raises ValueError for shapes that do not fit or no finite effect.
        """
        if effects.shape != features.values.shape[:2]:
            raise ValueError(
                f"effects {effects.shape} for features of {features.values.shape[:2]} pairs: give one effect a pair."
            )
        targets = np.stack([self.scaled(row) for row in np.asarray(effects, dtype=np.float64)])
        known = np.isfinite(targets)
        if not known.any():
            raise ValueError("no effect is finite: give the trees at least one query with measured effects.")
        trees = HistGradientBoostingRegressor(
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.smallest,
            early_stopping=False,
            random_state=self.seed,
        )
        trees.fit(relative(features)[known], targets[known])
        return FittedBoosted(self, features.names, trees)

    def scaled(self, effects: Array) -> Array:
        """The target [n] of the effects [n] of one query; what is not finite becomes NaN."""
        found, known = np.full(len(effects), np.nan), np.isfinite(effects)
        mine = effects[known]
        if len(mine) == 0:
            return found
        if self.target == "ranks":
            found[known] = ndtri((rankdata(mine) - 0.5) / len(mine))
        else:
            shares = mine / rms(mine)
            found[known] = np.arcsinh(self.steepness * shares) if self.target == "asinh" else shares
        return found


def relative(features: Features) -> npt.NDArray[np.float32]:
    """The features [query, train, feature], the relative ones over their root mean square of the query's pairs."""
    values = features.values.copy()
    columns = [features.names.index(name) for name in features.relative]
    values[:, :, columns] /= rms(values[:, :, columns], axis=1).astype(np.float32)
    return values

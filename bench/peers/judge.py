"""How faithful an answer is: each query's scores against the exact ones, and whether the question was answered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Matrix = npt.NDArray[np.float64]
SHUFFLES = 200


@dataclass(frozen=True)
class Fidelity:
    """Over the queries: median and smallest correlation with the exact answer, and the median slope on it.

    ``slope`` 1: the same unit. ``chance``: the largest median Pearson correlation among shuffles of the training set.
    """

    queries: int
    pearson_median: float
    pearson_min: float
    spearman_median: float
    spearman_min: float
    slope: float
    chance: float

    @property
    def complaint(self) -> str:
        """Why this is no answer to the question, or an empty string."""
        if self.pearson_median > self.chance:
            return ""
        if self.pearson_median < -self.chance:
            return f"wrong answer: the sign is reversed (r = {self.pearson_median:.3f})"
        return f"wrong answer: no better than chance (r = {self.pearson_median:.3f}, chance {self.chance:.3f})"

    def record(self) -> dict[str, Any]:
        return asdict(self)


def judge(scores: npt.NDArray[Any], exact: Matrix) -> Fidelity | str:
    """The fidelity of scores [query, train] to the first rows of the exact ones; a complaint if they are none."""
    if scores.ndim != 2 or scores.shape[1] != exact.shape[1] or len(scores) > len(exact):
        return f"wrong answer: scores of shape {scores.shape}, the question has {exact.shape} queries and examples"
    broken = int((~np.isfinite(scores)).sum())
    if broken:
        return f"NaN or infinity in {broken} of {scores.size} scores"
    scores, exact = scores.astype(np.float64), exact[: len(scores)]
    ours, theirs = _standard(scores), _standard(exact)
    pearson = (ours * theirs).sum(1)
    spearman = (_standard(_ranks(scores)) * _standard(_ranks(exact))).sum(1)
    slope = pearson * scores.std(1) / exact.std(1)
    generator = np.random.default_rng(0)
    shuffled = [np.median((ours[:, generator.permutation(ours.shape[1])] * theirs).sum(1)) for _ in range(SHUFFLES)]
    return Fidelity(
        len(scores),
        float(np.median(pearson)),
        float(pearson.min()),
        float(np.median(spearman)),
        float(spearman.min()),
        float(np.median(slope)),
        float(np.abs(shuffled).max()),
    )


def _standard(values: Matrix) -> Matrix:
    """Rows of mean 0 and norm 1; rows of equal numbers become 0, which correlates with nothing."""
    centred = values - values.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)


def _ranks(values: Matrix) -> Matrix:
    found: Matrix = np.asarray(stats.rankdata(values, axis=1), dtype=np.float64)
    return found

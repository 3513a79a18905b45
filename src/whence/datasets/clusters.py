"""Two clusters of points in the plane with noisy labels, and one extreme outlier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whence.examples import Examples, as_examples

__all__ = ["OUTLIER", "clusters"]

OUTLIER = "outlier"  # its id
MEANS = np.array([[-2.0, -2.0], [1.5, 1.5]])
DEVIATION = 1.0
SLOPES = np.array([0.6, 0.6])
OUTLIER_AT, OUTLIER_LABEL = np.array([[-12.0, 23.0]]), np.array([0])


def clusters(n: int = 150, seed: int = 0, queries: int = 40) -> tuple[Examples, Examples]:
    """Binary data for logistic regression in which everybody can see which example matters.

    Half of the points are drawn around (-2, -2), half around (1.5, 1.5), normal with covariance I. The label of a
    point is Bernoulli with probability ``sigmoid(1 + 0.6 x1 + 0.6 x2)``: most of the first cluster is 0, most of the
    second is 1, and some of both are not. The training data end with an outlier at (-12, 23) labelled 0, to which
    that law gives a probability of 5e-4. It lies off the diagonal, where no other point holds the fit: its leverage
    is high, and what first-order influence makes of it is too small.

    Source: A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning Models", MSc thesis,
    Chalmers 2018, section 4.1 and Eq. 4.2. It leaves means, slopes and outlier open; the numbers above are ours.

    Args:
        n: training points in the two clusters together, at least 2; the outlier is one more.
        seed: of ``numpy.random.SeedSequence``; training data and queries have independent streams, so that
            changing ``n`` leaves the queries alone.
        queries: points of the same law without an outlier, at least 2.

    Returns:
        Train (``n + 1`` rows) and queries: inputs float64 ``[rows, 2]``, targets int64 ``[rows]``, classes "0" and
        "1". Ids are strings: ``"c1-17"`` is point 17 of cluster 1, ``"q0-3"`` query 3 of cluster 0, and
        ``"outlier"`` the outlier.

    Raises:
        ValueError: ``n`` or ``queries`` is below 2.

    Example:
        >>> train, queries = clusters()
        >>> len(train), len(queries), str(train.ids[-1])
        (151, 40, 'outlier')
    """
    if min(n, queries) < 2:
        raise ValueError(f"n is {n}, queries {queries}; both clusters need a point, so take at least 2")
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2)]
    points, labels, ids = _draw(n, "c", streams[0])
    train = _examples(np.concatenate([points, OUTLIER_AT]), np.concatenate([labels, OUTLIER_LABEL]), [*ids, OUTLIER])
    return train, _examples(*_draw(queries, "q", streams[1]))


def _draw(
    n: int, prefix: str, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], list[str]]:
    sizes = n - n // 2, n // 2
    cluster = np.repeat([0, 1], sizes)
    points = MEANS[cluster] + DEVIATION * rng.normal(size=(n, 2))
    probability = 1 / (1 + np.exp(-(1 + points @ SLOPES)))
    labels = (rng.uniform(size=n) < probability).astype(np.int64)
    return points, labels, [f"{prefix}{c}-{i}" for c in (0, 1) for i in range(sizes[c])]


def _examples(points: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], ids: list[str]) -> Examples:
    return as_examples((points, labels), ids=ids, classes=("0", "1"))

"""Points around a straight line and three special ones: outlying, influential, and far but harmless."""

from __future__ import annotations

import numpy as np
import torch

from whence.datasets.dataset import LabelledData

__all__ = ["line"]

POINTS = 20
INTERCEPT, SLOPE, NOISE = 1.0, 0.5, 0.4  # y = 1 + 0.5 x + N(0, 0.4^2)
FAR = 18.0  # x of B and C; the other points lie in 0 .. 10


def line(seed: int = 0) -> tuple[LabelledData, dict[str, LabelledData]]:
    """A regression line, and points of which only one moves its slope.

    The 20 base points have x uniform in 0 .. 10 and y = 1 + 0.5 x + normal noise of standard deviation 0.4.

    - A: at the mean of x, 4 above the line. A large residual with the least leverage: the slope stays.
    - B: at x = 18, 7 below the line. High leverage and off the line: influential, the slope changes.
    - C: at x = 18, on the line. High leverage, yet not influential.

    Source: after K.-H. Yuan and X. Zhong, "Outliers, Leverage Observations, and Influential Cases in Factor
    Analysis", Sociological Methodology 38, 2008.

    Args:
        seed: of ``numpy.random.default_rng``, for x and noise of the base points.

    Returns:
        The base (inputs float64 ``[20, 1]``, targets float64 ``[20]``, ids ``"p0" .. "p19"``, no classes) and the
        points by name, each data of one row whose id is that name. ``base.concatenate(points["B"])`` adds one.
    """
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 10, POINTS))
    y = INTERCEPT + SLOPE * x + rng.normal(0, NOISE, POINTS)
    base = _regression(x, y, np.array([f"p{i}" for i in range(POINTS)]), "line")
    middle = float(x.mean())
    places = {
        "A": (middle, INTERCEPT + SLOPE * middle + 4),
        "B": (FAR, INTERCEPT + SLOPE * FAR - 7),
        "C": (FAR, INTERCEPT + SLOPE * FAR),
    }
    points = {
        name: _regression(np.array([at]), np.array([height]), np.array([name]), f"line {name}")
        for name, (at, height) in places.items()
    }
    return base, points


def _regression(x: np.ndarray, y: np.ndarray, ids: np.ndarray, name: str) -> LabelledData:
    return LabelledData(torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y), ids, name)

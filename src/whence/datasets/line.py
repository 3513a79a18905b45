"""Points around a straight line and three special ones: outlying, influential, and far but harmless."""

from __future__ import annotations

import numpy as np

from whence.examples import Examples, as_examples

__all__ = ["SPECIAL", "line"]

POINTS = 20
SPECIAL = ("A", "B", "C")  # their ids
INTERCEPT, SLOPE, NOISE = 1.0, 0.5, 0.4  # y = 1 + 0.5 x + N(0, 0.4^2)
FAR = 18.0  # x of B and C; the other points lie in 0 .. 10
OFFSETS = np.array([4.0, -7.0, 0.0])  # of A, B and C above the line


def line(seed: int = 0) -> tuple[Examples, tuple[str, str, str]]:
    """A regression line, and points of which only one moves its slope.

    The 20 base points have x uniform in 0 .. 10 and y = 1 + 0.5 x + normal noise of standard deviation 0.4.

    - A: at the mean of x, 4 above the line. A large residual with the least leverage: the slope stays.
    - B: at x = 18, 7 below the line. High leverage and off the line: influential, the slope changes.
    - C: at x = 18, on the line. High leverage, yet not influential.

    Source: Figure 3.1 of A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning
    Models", MSc thesis, Chalmers 2018, which follows K.-H. Yuan and X. Zhong, "Outliers, Leverage Observations,
    and Influential Cases in Factor Analysis", Sociological Methodology 38, 2008. The numbers are ours.

    Args:
        seed: of ``numpy.random.default_rng``, for x and noise of the base points.

    Returns:
        All 23 points (inputs float64 ``[23, 1]``, targets float64 ``[23]``, ids ``"p0" .. "p19"`` of the base and
        then ``"A"``, ``"B"``, ``"C"``, no classes), and the ids of the three special ones.

    Example:
        >>> everything, special = line()
        >>> special
        ('A', 'B', 'C')
        >>> base = everything[:-3]
        >>> with_b = everything.select([*base.ids, "B"])
        >>> len(base), len(with_b)
        (20, 21)
    """
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 10, POINTS))
    y = INTERCEPT + SLOPE * x + rng.normal(0, NOISE, POINTS)
    places = np.array([x.mean(), FAR, FAR])
    heights = INTERCEPT + SLOPE * places + OFFSETS
    inputs, targets = np.append(x, places)[:, None], np.append(y, heights)
    return as_examples((inputs, targets), ids=[*(f"p{i}" for i in range(POINTS)), *SPECIAL]), SPECIAL

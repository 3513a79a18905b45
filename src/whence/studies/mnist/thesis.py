"""What the thesis prints (Brinkman and Larsson Hörkén, Chalmers 2018), and a number of ours set beside it in words."""

from __future__ import annotations

from typing import Final

import numpy as np

PREDICTED: Final = "predicted influence"
TABLE_5_1: Final[dict[str, tuple[float, float]]] = {
    PREDICTED: (0.742, 0.805),
    "Mahalanobis distance": (0.054, 0.090),
    "cosine similarity, input": (0.032, 0.095),
    "cosine similarity, logits": (-0.110, 0.201),
    "centroid relationship": (-0.116, 0.251),
}
"""Pearson's correlation with actual influence: for the incorrectly and for the correctly classified 6."""
OVERLAP: Final = (261, 259)
"""Of the 500 largest Mahalanobis distances, those among the 500 most influential examples."""
MOVED: Final = (0.0319, 4.491)
"""Euclidean distance of the parameters after a continued refit, and after one from scratch."""
LAYERS: Final[dict[str, tuple[int, ...]]] = {
    "h1_a": (26, 26, 8),
    "h1_c": (12, 12, 8),
    "h2_a": (10, 10, 8),
    "h2_c": (4, 4, 8),
    "h3_a": (2, 2, 8),
    "h3_c": (2, 2, 10),
    "h3_d": (10,),
    "logits": (10,),
}
"""Table 4.1: shape of each layer's output an image, channels last."""
HYPERPARAMETERS: Final[dict[str, float]] = {
    "initial learning rate": 0.001,
    "L2 weight decay": 0.001,
    "damping": 0.01,
    "input side length": 28,
    "input channels": 1,
    "input dimensions": 784,
    "layer 1 hidden units": 8,
    "layer 2 hidden units": 8,
    "layer 3 hidden units": 8,
    "convolution patch size": 3,
}
"""Table 4.2."""


def beside(name: str, ours: float, interval: tuple[float, float], printed: float) -> str:
    """One sentence on a correlation of ours and the thesis' number, decided by the interval."""
    low, high = interval
    if not np.isfinite([ours, low, high]).all():
        return f"{name}: ours cannot be worked out here; the thesis prints {printed:+.3f}."
    if low <= printed <= high:
        verdict = "which lies inside our interval"
    else:
        verdict = "which lies " + ("below" if printed < low else "above") + " our interval"
    if low <= 0 <= high:
        sign = "ours is not told apart from 0"
    else:
        sign = "the signs agree" if np.sign(ours) == np.sign(printed) else "the signs differ"
    return f"{name}: ours {ours:+.3f} [{low:+.3f}, {high:+.3f}]; the thesis prints {printed:+.3f}, {verdict}; {sign}."

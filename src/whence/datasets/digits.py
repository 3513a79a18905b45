"""Real handwritten digits that need no download: scikit-learn's copy of the UCI set."""

from __future__ import annotations

import numpy as np
import torch

from whence.datasets.dataset import LabelledData

__all__ = ["digits"]


def digits(train_size: int = 1200, seed: int = 0) -> tuple[LabelledData, LabelledData]:
    """1,797 images of handwritten digits, 8x8 pixels, shuffled and cut into training and test data.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998 (its test part), as shipped by ``sklearn.datasets.load_digits``.

    Args:
        train_size: images for training, 1 .. 1796; the others are the test data.
        seed: of ``numpy.random.default_rng``, which permutes the rows before the cut.

    Returns:
        Train and test: inputs float32 ``[n, 1, 8, 8]`` in 0 .. 1 (pixel / 16), targets int64 ``[n]``, ids the
        row in ``load_digits()``, hence unique across both.

    Raises:
        ValueError: ``train_size`` leaves one of the two parts empty.

    Example:
        >>> train, test = digits()
        >>> len(train), len(test)
        (1200, 597)
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    total = len(source.target)
    if not 0 < train_size < total:
        raise ValueError(f"train_size is {train_size}, but there are {total} digits; choose 1 .. {total - 1}")
    rows = np.random.default_rng(seed).permutation(total)
    everything = LabelledData(
        inputs=torch.from_numpy((source.images / 16).astype(np.float32)).unsqueeze(1),
        targets=torch.from_numpy(source.target.astype(np.int64)),
        ids=np.arange(total),
        name="digits",
        classes=tuple(str(digit) for digit in range(10)),
    )
    return everything.subset(rows[:train_size]), everything.subset(rows[train_size:])

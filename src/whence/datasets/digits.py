"""Real handwritten digits that need no download: scikit-learn's copy of the UCI set."""

from __future__ import annotations

import numpy as np

from whence.examples import Examples, as_examples

__all__ = ["digits"]


def digits(train_size: int = 1200, seed: int = 0) -> tuple[Examples, Examples]:
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
    images = (source.images / 16).astype(np.float32)[:, None]
    labels = source.target.astype(np.int64)
    classes = [str(digit) for digit in range(10)]
    train, test = (
        as_examples((images[part], labels[part]), ids=part, classes=classes)
        for part in (rows[:train_size], rows[train_size:])
    )
    return train, test

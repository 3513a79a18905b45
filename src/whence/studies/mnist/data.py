"""The images of the study: Koh and Liang's 5,500 for training, the 10,000 test images, and where they lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from whence.datasets import koh_liang_subset
from whence.datasets.errors import DataError
from whence.examples import Examples
from whence.studies.mnist.plan import SUBJECT, Plan
from whence.studies.study import Settings

VARIABLE = "WHENCE_MNIST"
TINY_TEST = 1500


def load(settings: Settings, plan: Plan) -> tuple[Examples, Examples]:
    """Training and test images; the tiny size takes the first training images and a part of the test images.

    Raises DataError if no folder is named, or what it holds is not MNIST.
    """
    named = settings.data or os.environ.get(VARIABLE)
    if not named:
        raise DataError(f"where is MNIST? Name the folder with its four IDX files by --data DIR or by ${VARIABLE}")
    train, test = koh_liang_subset(Path(named))
    if plan.images < len(train):
        few = np.unique(np.append(np.arange(TINY_TEST), test.positions([SUBJECT])))
        return train[np.arange(plan.images)], test[few]
    return train, test

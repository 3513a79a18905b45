"""Loaders of the data that examples and studies use; every row keeps the id it has in its source."""

from whence.datasets.clusters import clusters
from whence.datasets.digits import digits
from whence.datasets.errors import DataError
from whence.datasets.idx import read_idx
from whence.datasets.line import line
from whence.datasets.mislabelled import Mislabelled, mislabel
from whence.datasets.mnist import FileCheck, koh_liang_subset, mnist, verify

__all__ = [
    "DataError",
    "FileCheck",
    "Mislabelled",
    "clusters",
    "digits",
    "koh_liang_subset",
    "line",
    "mislabel",
    "mnist",
    "read_idx",
    "verify",
]

"""Loaders of the data that examples and studies use; every row keeps the id it has in its source."""

from whence.datasets.clusters import clusters
from whence.datasets.digits import digits
from whence.datasets.errors import DataError
from whence.datasets.idx import read_idx
from whence.datasets.line import line
from whence.datasets.mnist import FileCheck, koh_liang_subset, mnist, verify

__all__ = [
    "DataError",
    "FileCheck",
    "clusters",
    "digits",
    "koh_liang_subset",
    "line",
    "mnist",
    "read_idx",
    "verify",
]

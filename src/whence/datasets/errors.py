"""The error that data files raise."""

from __future__ import annotations

__all__ = ["DataError"]


class DataError(ValueError):
    """A data file is missing, damaged or not what its name promises; the message names file and remedy."""

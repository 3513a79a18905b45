"""Labelled examples whose rows carry stable ids, and the error that data files raise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["DataError", "LabelledData"]


class DataError(ValueError):
    """A data file is missing, damaged or not what its name promises; the message names file and remedy."""


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Examples with targets and ids that stay the same however the rows are cut or shuffled.

    Attributes:
        inputs: ``[n, ...]``, one row an example.
        targets: ``[n]``. Class numbers (int64, ``0 .. len(classes) - 1``) when there are classes, else
            real numbers in a floating dtype.
        ids: ``[n]``, unique integers or unicode strings that name the rows of the *source* data: the row
            number in the raw file, not the position in this object. Kept as a read-only copy.
        name: what a person calls these data, such as ``"mnist train"``.
        classes: the class names in order of their number; empty for regression.

    Raises:
        ValueError: lengths differ, ids are repeated or neither integers nor strings, values are not finite,
            or targets do not fit ``classes``.

    Example:
        >>> data = LabelledData(torch.eye(3), torch.tensor([0, 1, 1]), np.array([7, 8, 9]), "toy", ("a", "b"))
        >>> data.subset([2, 0]).ids.tolist()
        [9, 7]
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    ids: npt.NDArray[Any]
    name: str
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = np.array(self.ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iuU":
            raise ValueError(
                f"{self.name}: ids must be one row of integers or strings, got shape {ids.shape} and dtype "
                f"{ids.dtype}; pass np.arange(n) or np.array([...], dtype=str)"
            )
        if self.inputs.ndim < 1 or self.targets.ndim != 1:
            raise ValueError(
                f"{self.name}: expected inputs [n, ...] and targets [n], got {tuple(self.inputs.shape)} and "
                f"{tuple(self.targets.shape)}; give one target an example, as a class number or a real number"
            )
        lengths = len(self.inputs), len(self.targets), len(ids)
        if len(set(lengths)) != 1:
            raise ValueError(
                "{}: {} inputs, {} targets and {} ids; give one of each an example".format(self.name, *lengths)
            )
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            repeated = values[counts > 1][:3].tolist()
            raise ValueError(
                f"{self.name}: {int((counts > 1).sum())} ids occur more than once, such as {repeated}; "
                "ids must be unique: use the row number in the source data"
            )
        if not (torch.isfinite(self.inputs).all() and torch.isfinite(self.targets).all()):
            raise ValueError(f"{self.name}: inputs or targets hold NaN or infinity; drop or impute those rows")
        self._check_targets()
        ids.flags.writeable = False
        object.__setattr__(self, "ids", ids)

    def _check_targets(self) -> None:
        if not self.classes:
            if not self.targets.is_floating_point():
                raise ValueError(
                    f"{self.name}: {self.targets.dtype} targets without classes; name the classes, or give "
                    "floating-point targets for regression"
                )
            return
        if self.targets.dtype != torch.int64:
            raise ValueError(f"{self.name}: class numbers must be int64, got {self.targets.dtype}; use targets.long()")
        if len(self) and not 0 <= int(self.targets.min()) <= int(self.targets.max()) < len(self.classes):
            raise ValueError(
                f"{self.name}: targets run from {int(self.targets.min())} to {int(self.targets.max())}, but there "
                f"are {len(self.classes)} classes; number them 0 .. {len(self.classes) - 1}"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, rows: Sequence[int] | npt.NDArray[Any] | torch.Tensor) -> LabelledData:
        """The examples at some positions, in that order, with their ids.

        Args:
            rows: positions ``0 .. n - 1`` in this object (negative ones count from the end), or a boolean
                mask ``[n]``.

        Raises:
            IndexError: a position is out of range, or ``rows`` is neither integers nor a mask of length n.
            ValueError: a position is given twice, so that an id would occur twice.
        """
        wanted = np.asarray(rows)
        if wanted.size == 0 and wanted.dtype.kind == "f":
            wanted = wanted.astype(np.int64)
        try:
            positions = np.arange(len(self))[wanted]
        except IndexError as error:
            raise IndexError(
                f"{self.name}: cannot take these rows of {len(self)} ({error}); give positions or a boolean mask"
            ) from error
        if positions.ndim != 1:
            raise IndexError(f"{self.name}: rows must be one-dimensional, got shape {wanted.shape}; use [row]")
        index = torch.from_numpy(positions)
        return LabelledData(self.inputs[index], self.targets[index], self.ids[positions], self.name, self.classes)

    def concatenate(self, other: LabelledData) -> LabelledData:
        """These examples followed by those of ``other``, under this object's name.

        Raises:
            ValueError: the two share an id, or their classes, input shapes or dtypes differ.
        """
        kinds = [(d.inputs.shape[1:], d.inputs.dtype, d.targets.dtype, d.classes) for d in (self, other)]
        if kinds[0] != kinds[1] or (self.ids.dtype.kind == "U") != (other.ids.dtype.kind == "U"):
            raise ValueError(
                f"{self.name} and {other.name} differ in input shape, dtype, classes or kind of id; "
                "bring both to one form first"
            )
        return LabelledData(
            torch.cat([self.inputs, other.inputs]),
            torch.cat([self.targets, other.targets]),
            np.concatenate([self.ids, other.ids]),
            self.name,
            self.classes,
        )

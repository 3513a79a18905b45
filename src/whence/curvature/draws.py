"""Random numbers that hang on a seed and an example's id alone, so that neither order nor batches change them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def uniform(ids: npt.NDArray[Any], seed: int, count: int = 1) -> npt.NDArray[np.float64]:
    """Numbers in (0, 1) [example, count]: 52 bits each of SHAKE-128 of the seed and the id."""
    said = (f"{seed} {identity!r}".encode() for identity in ids.tolist())
    words = np.frombuffer(b"".join(hashlib.shake_128(each).digest(8 * count) for each in said), "<u8")
    found: npt.NDArray[np.float64] = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return found.reshape(len(ids), count)


def normal(ids: npt.NDArray[Any], seed: int, count: int = 1) -> npt.NDArray[np.float64]:
    """Standard normal numbers [example, count]."""
    found: npt.NDArray[np.float64] = torch.special.ndtri(torch.from_numpy(uniform(ids, seed, count))).numpy()
    return found

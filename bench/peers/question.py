"""What is asked of everybody: a folder with the network's weights, the data and the numbers; torch and NumPy only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bench.peers.models import build


@dataclass(frozen=True)
class Question:
    """Influence of ``train`` on the losses of ``queries`` at the weights of ``model``.

    The objective is the mean cross-entropy plus ½·``penalty``·‖w‖² over parameters of two or more dimensions;
    ``damping`` is added to the curvature. ``counts``: with how many queries, the first ones, it is asked in turn.
    """

    folder: Path
    model: nn.Module
    train: tuple[Tensor, Tensor]
    queries: tuple[Tensor, Tensor]
    penalty: float
    damping: float
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        return len(self.train[1])

    @property
    def state(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    @property
    def head(self) -> str:
        """The name of the last linear layer."""
        return [name for name, layer in self.model.named_modules() if isinstance(layer, nn.Linear)][-1]

    def first(self, count: int) -> tuple[Tensor, Tensor]:
        """The first queries: inputs, targets."""
        return self.queries[0][:count], self.queries[1][:count]

    def dataset(self, part: tuple[Tensor, Tensor] | None = None) -> Dataset[tuple[Tensor, ...]]:
        return TensorDataset(*(part or self.train))

    def loader(self, size: int, part: tuple[Tensor, Tensor] | None = None) -> DataLoader[tuple[Tensor, ...]]:
        """Batches in order."""
        return DataLoader(self.dataset(part), batch_size=size, shuffle=False)


def write(
    folder: Path,
    network: tuple[str, dict[str, int]],
    state: Mapping[str, Tensor],
    arrays: Mapping[str, npt.NDArray[Any]],
    numbers: Mapping[str, Any],
) -> Path:
    """Keep a question below ``folder`` under the hash of its contents, and return that folder.

    ``arrays``: train_inputs, train_targets, query_inputs, query_targets; ``numbers``: penalty, damping, counts, and
    whatever describes it.
    """
    weights = {name: value.detach().cpu().numpy() for name, value in state.items()}
    digest = hashlib.sha256(json.dumps([network, {**numbers, "counts": None}], sort_keys=True).encode())
    for part in (arrays, weights):
        for name in sorted(part):
            digest.update(name.encode() + np.ascontiguousarray(part[name]).tobytes())
    place = folder / digest.hexdigest()[:12]
    place.mkdir(parents=True, exist_ok=True)
    np.savez(place / "data.npz", **dict(arrays))
    np.savez(place / "weights.npz", **weights)
    text = json.dumps({"network": network, "numbers": dict(numbers)}, indent=1)
    (place / "question.json").write_text(text + "\n", encoding="utf-8")
    return place


def read(folder: Path) -> Question:
    """The question that ``write`` kept."""
    said = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    numbers = said["numbers"]
    model = build(*said["network"])
    with np.load(folder / "weights.npz") as weights:
        model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    with np.load(folder / "data.npz") as data:
        tensors = {name: torch.from_numpy(data[name]) for name in data.files}
    return Question(
        folder,
        model.eval(),
        (tensors["train_inputs"], tensors["train_targets"]),
        (tensors["query_inputs"], tensors["query_targets"]),
        numbers["penalty"],
        numbers["damping"],
        tuple(numbers["counts"]),
    )


def penalised(model: nn.Module) -> list[str]:
    """The parameters that the penalty covers."""
    return [name for name, value in model.named_parameters() if value.ndim >= 2]

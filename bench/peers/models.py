"""The networks of the race; torch alone is imported, so that every environment builds the same ones.

The all-CNNs come from the library's own file, which is read by its path: the package itself needs more than torch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

ALL_CNN = Path(__file__).resolve().parents[2] / "src" / "whence" / "models" / "all_cnn.py"


def build(name: str, options: dict[str, int]) -> nn.Module:
    """A network by name, in evaluation mode, with weights to be loaded."""
    made: dict[str, type[nn.Module]] = {"wide_cnn": WideCNN, "text_transformer": TextTransformer}
    module = _all_cnn(name) if name in ("all_cnn", "small_all_cnn") else made[name](**options)
    return module.eval()


def _all_cnn(name: str) -> nn.Module:
    found = importlib.util.spec_from_file_location("all_cnn", ALL_CNN)
    if found is None or found.loader is None:
        raise ImportError(f"{ALL_CNN} cannot be read")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network: nn.Module = getattr(module, name)(0)
    return network


@final
class WideCNN(nn.Module):
    """Images [n, 1, 28, 28] to logits [n, 10]: three 3x3 convolutions and two dense layers, with tanh.

    Each size is ``width`` times a fixed number: width 16 has 100,634 parameters. Nothing is ever in place.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2)
        self.third = nn.Conv2d(2 * width, 4 * width, 3, stride=2)
        self.dense = nn.Linear(4 * width * 25, 3 * width)
        self.logits = nn.Linear(3 * width, 10)

    def forward(self, images: Tensor) -> Tensor:
        value = self.first(images).tanh()
        value = self.second(value).tanh()
        value = self.third(value).tanh()
        value = self.dense(value.flatten(1)).tanh()
        logits: Tensor = self.logits(value)
        return logits


@final
class TextTransformer(nn.Module):
    """Characters [n, length] to logits [n, classes]: one pre-norm block of attention and a mean over positions.

    Attention is written with plain linear layers, which every peer can take apart; 0 is padding and is masked.
    """

    def __init__(self, letters: int = 64, length: int = 64, width: int = 16, classes: int = 8) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Parameter(torch.zeros(length, width))
        self.before_attention, self.before_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.merged = nn.Linear(width, width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.logits = nn.Linear(width, classes)
        self.scale = width**-0.5

    def forward(self, letters: Tensor) -> Tensor:
        seen = (letters != 0).to(self.place.dtype)
        state = self.letter(letters) + self.place
        state = state + self._attend(self.before_attention(state), seen)
        state = state + self.narrow(self.wide(self.before_dense(state)).tanh())
        pooled = (state * seen[..., None]).sum(-2) / seen.sum(-1, keepdim=True).clamp(min=1)
        logits: Tensor = self.logits(pooled)
        return logits

    def _attend(self, state: Tensor, seen: Tensor) -> Tensor:
        scores = self.query(state) @ self.key(state).transpose(-1, -2) * self.scale
        weights = (scores + (seen[..., None, :] - 1) * 1e4).softmax(-1)
        merged: Tensor = self.merged(weights @ self.value(state))
        return merged

"""The network of Table 4.3 of the thesis, which learns one query's actual influence from embeddings and labels.

Source: A. Brinkman and J. Larsson Hörkén, "Finding Influential Examples in Deep Learning Models", MSc thesis,
Chalmers 2018, section 4.2.5, Table 4.3 and Figure 5.18.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float64]
Initial: TypeAlias = Literal["uniform", "glorot"]
# Keras' "uniform" draws from (-0.05, 0.05)
LIMIT = 0.05


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    ``train_error``, ``held_out_error`` [epoch + 1]: mean absolute error in the unit of the targets, before the first
    epoch and after each; ``held_out_error`` is empty if nothing was held out. ``factor``: what the targets were
    divided by.
    """

    network: nn.Sequential
    factor: float
    train_error: Array
    held_out_error: Array

    @torch.no_grad()
    def predict(self, x: npt.NDArray[np.floating]) -> Array:
        """Predicted targets [n], in their unit, of inputs [n, d]; raises ValueError for another d."""
        wanted = next(self.network.parameters()).shape[1]
        if x.ndim != 2 or x.shape[1] != wanted:
            raise ValueError(f"inputs have shape {x.shape}: give [n, {wanted}], the columns that the network learnt.")
        output: Tensor = self.network(torch.as_tensor(np.asarray(x), dtype=torch.float32))
        return output[:, 0].double().numpy() * self.factor


@dataclass(frozen=True)
class ThesisNetwork:
    """Five hidden layers of 100 ReLU nodes and one linear output, trained by Adam on the mean absolute error.

    The defaults are Table 4.3: 250 epochs in batches of 25, rate 0.001, L2 regularisation 0.0001, which in Keras, where
    the names come from, adds ``l2``·Σw² over the weights (not the biases) to the loss, without a factor ½.
    ``scale``: divide the targets by their root mean square while training. Effects are of the size 1e-3, where an
    L2 penalty and steps made for targets near 1 hinder the fit; the thesis trained on the values as they are.
    ``initial``: weights from ``"uniform"``, which Table 4.3 names and Keras draws from (−0.05, 0.05), or ``"glorot"``,
    Keras' default: ±√(6 / (inputs + outputs)) of each layer. Biases start at 0. Five layers from (−0.05, 0.05) pass on
    so little that the L2 penalty may shrink them to a constant.

    Raises ValueError for a number below 1, a rate that is not positive, a negative regularisation or another initial.
    """

    epochs: int = 250
    batch: int = 25
    layers: int = 5
    nodes: int = 100
    learning_rate: float = 1e-3
    l2: float = 1e-4
    scale: bool = False
    initial: Initial = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.layers, self.nodes) < 1:
            raise ValueError("epochs, batch, layers and nodes must be 1 or more; Table 4.3 has 250, 25, 5 and 100.")
        if not self.learning_rate > 0 or self.l2 < 0:
            raise ValueError(f"learning_rate {self.learning_rate} must be positive and l2 {self.l2} not negative.")
        if self.initial not in get_args(Initial):
            raise ValueError(f"initial must be one of {get_args(Initial)}, not {self.initial!r}")

    def build(self, inputs: int) -> nn.Sequential:
        """The network at its initial weights, for ``inputs`` columns."""
        sizes = [inputs, *[self.nodes] * self.layers, 1]
        parts: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            parts += [nn.Linear(before, after, device="meta"), nn.ReLU()]
        network = nn.Sequential(*parts[:-1]).to_empty(device="cpu")
        # a generator of its own, so that the caller's random numbers are neither read nor moved
        generator = torch.Generator().manual_seed(self.seed)
        for parameter in network.parameters():
            if parameter.ndim > 1:
                limit = LIMIT if self.initial == "uniform" else math.sqrt(6 / sum(parameter.shape))
                nn.init.uniform_(parameter, -limit, limit, generator=generator)
            else:
                nn.init.zeros_(parameter)
        return network

    def fit(
        self,
        x: npt.NDArray[np.floating],
        y: npt.NDArray[np.floating],
        held_out: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]] | None = None,
    ) -> Fitted:
        """Learn targets ``y`` [n] from inputs ``x`` [n, d]; the error on ``held_out`` (x, y) is watched, not used.

        Raises ValueError for shapes that do not fit, no rows, or values that are not finite.
        """
        inputs, targets = _pair(x, y, "training")
        factor = float(targets.square().mean().sqrt()) if self.scale else 1.0
        factor = factor if factor > 0 else 1.0
        watched = [(inputs, targets)] + ([_pair(*held_out, "held-out")] if held_out is not None else [])
        network = self.build(inputs.shape[1])
        weights = [p for p in network.parameters() if p.ndim > 1]
        biases = [p for p in network.parameters() if p.ndim == 1]
        # the gradient of l2 Σw² is 2 l2 w, and Adam adds weight_decay times w
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 2 * self.l2}, {"params": biases}]
        optimizer = torch.optim.Adam(groups, lr=self.learning_rate, fused=True)
        order = torch.Generator().manual_seed(self.seed + 1)
        history = [[_error(network, factor, *rows)] for rows in watched]
        scaled = (targets / factor).float()
        for _ in range(self.epochs):
            for rows in torch.split(torch.randperm(len(inputs), generator=order), self.batch):
                optimizer.zero_grad()
                with torch.enable_grad():
                    loss = (network(inputs[rows])[:, 0] - scaled[rows]).abs().mean()
                    loss.backward()
                optimizer.step()
            for errors, pair in zip(history, watched, strict=True):
                errors.append(_error(network, factor, *pair))
        network.requires_grad_(False)
        return Fitted(network, factor, np.array(history[0]), np.array(history[1] if len(history) > 1 else []))


def thesis_inputs(embedding: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """The input [n, d + class] of the thesis' network: the embeddings [n, d] and the labels [n], one-hot.

    There is a column for each class from 0 to the largest label. Raises ValueError unless there is one label a row.
    """
    if embedding.ndim != 2 or labels.shape != embedding.shape[:1] or len(labels) == 0 or labels.min() < 0:
        raise ValueError(
            f"embeddings {embedding.shape} with labels {labels.shape}: give [n, d] and one class number from 0 a row."
        )
    return np.hstack([embedding, np.eye(int(labels.max()) + 1)[labels]]).astype(np.float32)


def split(n: int, share: float = 0.8, seed: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of 0 to n − 1 to fit on and to hold out, both in rising order, drawn by the seed.

    ``share``: of those to fit on. The thesis shows a train and a test loss (Fig. 5.18) and states no share; 0.8 is
    ours. Raises ValueError if a side would be empty.
    """
    kept = round(n * share)
    if not 0 < kept < n:
        raise ValueError(f"a share of {share} of {n} leaves one side empty: give more rows or a share nearer to 0.5.")
    drawn = np.random.default_rng(seed).permutation(n)
    return np.sort(drawn[:kept]), np.sort(drawn[kept:])


@torch.no_grad()
def _error(network: nn.Sequential, factor: float, x: Tensor, y: Tensor) -> float:
    return float((network(x)[:, 0].double() * factor - y).abs().mean())


def _pair(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], name: str) -> tuple[Tensor, Tensor]:
    if x.ndim != 2 or y.shape != x.shape[:1] or len(x) == 0:
        raise ValueError(f"{name} inputs {x.shape} and targets {y.shape}: give [n, d] and [n] with n of 1 or more.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or not math.isfinite(float(np.square(y).sum())):
        raise ValueError(f"{name} inputs or targets are not finite: remove those rows first.")
    return torch.as_tensor(np.asarray(x), dtype=torch.float32), torch.as_tensor(np.asarray(y), dtype=torch.float64)

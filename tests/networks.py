"""The networks that the tables of cases are made of: a few dozen parameters each."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Shared(nn.Module):
    """One layer is used twice, so its gradient is a sum over both uses."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.middle, self.leave = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.middle(torch.tanh(self.middle(torch.tanh(self.enter(x))))))


class Bilinear(nn.Module):
    """xᵀAₖx behind a LayerNorm: parameters that no linear or convolutional layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.form = nn.Parameter(0.5 * torch.randn(3, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return torch.einsum("bi,kij,bj->bk", x, self.form, x)


class TwoInputs(nn.Module):
    """Takes named inputs, as models behind tokenizers do."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(3, 3, bias=False)
        self.leave = nn.Linear(3, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.leave(torch.tanh(self.left(left) * self.right(right)))


class Outside(nn.Module):
    """The weight of a layer is used once more outside its module, which a hook on the layer does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(torch.tanh(F.linear(torch.tanh(self.enter(x)), self.enter.weight)))


class Positions(nn.Module):
    """Reads [batch, position, feature] as one long batch of positions, and averages their outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(2, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.leave(torch.tanh(self.enter(x.reshape(-1, x.shape[-1]))))
        return rows.reshape(len(x), -1, rows.shape[-1]).mean(1)


class PositionFirst(nn.Module):
    """Works on [position, batch, feature], as ``nn.Transformer`` does by default."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(2, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(torch.tanh(self.enter(x.transpose(0, 1)))).mean(0)


class Cube(torch.autograd.Function):
    """x³ with a backward and no forward derivative, as some attention kernels are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class ReverseOnly(nn.Module):
    """A network with an operation that has no forward derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(Cube.apply(torch.tanh(self.enter(x))))


def mlp(inputs: int = 4, hidden: int = 4, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def convolutional() -> nn.Module:
    """Stride, padding, dilation and groups; images [1, 6, 6] to three classes; 57 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Conv2d(2, 2, 2, padding=(1, 0), dilation=2, groups=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(6, 3),
    )

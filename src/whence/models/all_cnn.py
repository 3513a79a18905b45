"""The small all-convolutional network on which influence functions were first checked by retraining."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, final

import torch
from torch import nn

__all__ = ["AllCNN", "all_cnn", "small_all_cnn"]

FILTERS = 8
CLASSES = 10
# (name, stride) of the 3x3 convolutions
MNIST_LAYERS: Final = (("h1_a", 1), ("h1_c", 2), ("h2_a", 1), ("h2_c", 2), ("h3_a", 1))
DIGITS_LAYERS: Final = (("h1_a", 1), ("h2_a", 1), ("h3_a", 1))


@final
class AllCNN(nn.Module):
    """Convolutions with tanh, a spatial mean and one dense layer; no pooling, no padding.

    A row of 3x3 convolutions to 8 channels, a 1x1 convolution ``h3_c`` to 10, tanh after each of them, the
    spatial mean ``h3_d`` and a dense layer ``logits`` from 10 to 10. The module of each name puts out what is listed
    under that name in the table of layers (Table 4.1 of the third source), tanh included: ``h1_a.conv`` is the
    convolution and ``h1_a`` its activation.

    Weights start from a normal distribution cut at two standard deviations (of the normal before the cut),
    2 / sqrt(k^2 c_in) for convolutions and 1 / sqrt(10) for the dense layer; biases start at zero.

    Sources: J. T. Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR workshop 2015;
    the variant is that of P. W. Koh and P. Liang, "Understanding Black-box Predictions via Influence Functions",
    ICML 2017, section 4.2 and its published code (``all_CNN_c.py``); A. Brinkman and J. Larsson Hörkén, "Finding
    Influential Examples in Deep Learning Models", MSc thesis, Chalmers 2018, section 4.2.2.

    Args:
        layers: name and stride of each 3x3 convolution, in order.
        seed: of the ``torch.Generator`` that draws the weights; the global generator is neither read nor moved.

    Raises:
        ValueError: no layers, a repeated or taken name, or a stride below 1.
    """

    def __init__(self, layers: Sequence[tuple[str, int]], seed: int) -> None:
        super().__init__()
        names = [name for name, _ in layers]
        if not names or len(set(names) | {"h3_c", "h3_d", "logits"}) != len(names) + 3:
            raise ValueError(f"layer names are {names}; give one or more, each once, none h3_c, h3_d or logits")
        if any(stride < 1 for _, stride in layers):
            raise ValueError(f"strides are {[stride for _, stride in layers]}; all must be at least 1")
        channels = 1
        for name, stride in layers:
            self.add_module(name, _tanh_convolution(channels, FILTERS, 3, stride))
            channels = FILTERS
        self.add_module("h3_c", _tanh_convolution(channels, CLASSES, 1, 1))
        self.add_module("h3_d", _SpatialMean())
        self.add_module("logits", nn.Linear(CLASSES, CLASSES, device="meta"))
        self.to_empty(device="cpu")
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if not isinstance(module, (nn.Conv2d, nn.Linear)):
                continue
            gain = 2 if isinstance(module, nn.Conv2d) else 1
            sigma = gain / math.sqrt(module.weight[0].numel())
            nn.init.trunc_normal_(module.weight, std=sigma, a=-2 * sigma, b=2 * sigma, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[n, 10]`` of images ``[n, 1, height, width]``."""
        value = images
        for layer in self.children():
            value = layer(value)
        return value


def all_cnn(seed: int) -> AllCNN:
    """The network for MNIST: images ``[n, 1, 28, 28]`` to logits ``[n, 10]``, 2,616 float32 parameters.

    Args:
        seed: of the initial weights.

    Example:
        >>> sum(p.numel() for p in all_cnn(seed=0).parameters())
        2616
    """
    return AllCNN(MNIST_LAYERS, seed)


def small_all_cnn(seed: int) -> AllCNN:
    """Its sister for 8x8 digits: images ``[n, 1, 8, 8]`` to logits ``[n, 10]``, 1,448 float32 parameters.

    Args:
        seed: of the initial weights.

    Example:
        >>> sum(p.numel() for p in small_all_cnn(seed=0).parameters())
        1448
    """
    return AllCNN(DIGITS_LAYERS, seed)


@final
class _SpatialMean(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean(dim=(2, 3))


def _tanh_convolution(channels: int, filters: int, kernel: int, stride: int) -> nn.Sequential:
    # on the meta device: the constructor would otherwise draw from the global generator
    convolution = nn.Conv2d(channels, filters, kernel, stride, device="meta")
    return nn.Sequential(OrderedDict(conv=convolution, tanh=nn.Tanh()))

"""Rows of Σ_i ∇²ℓ_i at a model that is a chain, many at once: forward mode over the backward pass, by hand.

With ż = dz/dw for an entry w of the layer l, and δ_k = ∂ℓ/∂z_k (R-operator; Pearlmutter, Neural Computation 1994):

    ż_l = the window of a_{l−1} that w multiplies, in w's output channel
    ȧ_k = f_k′ ż_k,   ż_{k+1} = W_{k+1} ∗ ȧ_k                                        k ≥ l
    δ̇_k = f_k′ᵀ (W_{k+1}ᵀ ∗ δ̇_{k+1}) + (∂δ_k/∂z_k) ż_k
    ∂²ℓ/∂w∂W_k = Σ_positions δ̇_k a_{k−1}ᵀ + δ_k ȧ_{k−1}ᵀ                            the second for k > l alone

Only layers from l on are passed through, which gives the rows above the diagonal. Many w share one call of each
convolution, and the sums over positions are products of large matrices. As long as nothing mixes channels, ż_l has
one of them only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.curvature.chain import Chain
from whence.curvature.gap import AbstractGap
from whence.curvature.link import Link
from whence.parameters import Layout

NUMBERS = 2**21
"""How many numbers of one layer's outputs are worked on together."""


@dataclass(frozen=True)
class Entry:
    """An entry of a layer's weight (``window``: which number of the window) or bias (None), and its row."""

    row: int
    channel: int
    window: int | None


def add_rows(upper: Tensor, layout: Layout, chain: Chain, first: int, step: int) -> None:
    """Add the rows first, first + step, ... of each parameter, from its own column on, to ``upper``."""
    shared = [_Shared.of(link, gap) for link, gap in zip(chain.links, chain.gaps, strict=True)]
    slices = layout.slices
    for own, link in enumerate(chain.links):
        size = max(left.numel() for left in (one.left for one in chain.links[own:]))
        together = max(1, NUMBERS // size)
        for channel, entries in _entries(layout, link, first, step).items():
            for start in range(0, len(entries), together):
                part = entries[start : start + together]
                rows = _rows(part)
                for name, block in _blocks(chain, shared, own, channel, part):
                    if name in slices:
                        upper[rows, slices[name]] += block


def _rows(entries: list[Entry]) -> slice | list[int]:
    """Their rows, as a slice if they are neighbours."""
    rows = [entry.row for entry in entries]
    return slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else rows


def _entries(layout: Layout, link: Link, first: int, step: int) -> dict[int, list[Entry]]:
    """The entries whose rows are asked for, by output channel."""
    found: dict[int, list[Entry]] = defaultdict(list)
    inner = link.weight[0].numel()
    for kind in ("weight", "bias"):
        place = layout.slices.get(_name(link, kind))
        for number in range(first, place.stop - place.start, step) if place is not None else ():
            channel, window = divmod(number, inner) if kind == "weight" else (number, None)
            found[channel].append(Entry(place.start + number, channel, window))  # type: ignore[union-attr]
    return found


@dataclass(frozen=True)
class _Shared:
    """Of a layer, for all rows: the windows of a and a row of ones [window + 1, position·batch], and δ
    [output, position·batch].
    """

    entered: Tensor
    delta: Tensor

    @classmethod
    def of(cls, link: Link, gap: AbstractGap) -> _Shared:
        windows = link.windows(link.entered[None])[0]
        ones = windows.new_ones(1, windows.shape[1])
        return cls(torch.cat([windows, ones]), gap.delta.movedim(0, -1).flatten(1))


def _blocks(
    chain: Chain, shared: list[_Shared], own: int, channel: int, entries: list[Entry]
) -> Iterator[tuple[str, Tensor]]:
    """(name, [entry, size of the parameter]) for every parameter from the layer ``own`` on."""
    links, gaps, last = chain.links, chain.gaps, len(chain.links) - 1
    only = channel if gaps[own].narrow else None
    ahead, bent = gaps[own].ahead(_seeds(links[own], shared[own], entries, only), only)
    bends, windows = {own: bent}, {}
    for k in range(own + 1, last + 1):
        windows[k] = links[k].windows(ahead)
        change = links[k].push(windows[k], only if k == own + 1 else None)
        ahead, bends[k] = gaps[k].ahead(change)
    back = bends[last]
    for k in range(last, own - 1, -1):
        link, flat = links[k], back.flatten(2)
        both = (flat.flatten(0, 1) @ shared[k].entered.T).reshape(*flat.shape[:2], -1)
        weight, bias = both[:, :, :-1], both[:, :, -1]
        if k > own:
            weight = weight + _windowed(link, windows[k], shared[k].delta, only if k == own + 1 else None)
        yield _name(link, "weight"), weight.flatten(1)
        yield _name(link, "bias"), bias
        if k > own:
            back = gaps[k - 1].back(link.pull(back))
            part = slice(None) if k - 1 > own or only is None else slice(only, only + 1)
            back[:, part] += bends[k - 1]


def _seeds(link: Link, shared: _Shared, entries: list[Entry], only: int | None) -> Tensor:
    """ż of the layer's own output for each entry [entry, output, ..., batch], of one output channel if that is all."""
    batch, outputs, *places = link.left.shape
    chosen = [-1 if entry.window is None else entry.window for entry in entries]
    seeds = shared.entered[chosen].reshape(len(entries), 1, *places, batch)
    if only is not None:
        return seeds
    full = seeds.new_zeros(len(entries), outputs, *places, batch)
    channel = entries[0].channel
    full[:, channel : channel + 1] = seeds
    return full


def _windowed(link: Link, windows: Tensor, delta: Tensor, only: int | None) -> Tensor:
    """Σ δ ȧᵀ [entry, output, window] for the windows of ȧ; ``only``: the one channel of the input that they are of."""
    found = (windows.flatten(0, 1) @ delta.T).reshape(*windows.shape[:2], -1).transpose(1, 2)
    if only is None:
        return found
    kernel = windows.shape[1]
    full = found.new_zeros(len(windows), len(delta), link.weight[0].numel())
    full[:, :, only * kernel : (only + 1) * kernel] = found
    return full


def _name(link: Link, kind: str) -> str:
    return f"{link.prefix}.{kind}" if link.prefix else kind

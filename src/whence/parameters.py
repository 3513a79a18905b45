"""Named parameters as one vector, checkpoints, and the fingerprint of a model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that belongs to another model."""


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the parameters that are studied, in the order in which they form one vector."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        return sum(self.sizes)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each parameter lies in the vector."""
        found, start = {}, 0
        for name, size in zip(self.names, self.sizes, strict=True):
            found[name] = slice(start, start + size)
            start += size
        return found

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The named tensors as one vector [parameter]."""
        return torch.cat([tensors[name].reshape(-1) for name in self.names])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Views of a vector [parameter] under the parameters' names and shapes."""
        pieces = torch.split(vector, list(self.sizes))
        return {name: piece.view(shape) for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)}


def layout_of(module: nn.Module, only: Iterable[str] | None = None) -> Layout:
    """The layout of a module's trainable parameters.

    ``only`` restricts it to parameters whose names start with one of these prefixes (``["fc"]``: the last layer).
    Raises ValueError if no trainable parameter is left, or none lies under one of the prefixes.
    """
    prefixes = None if only is None else (only,) if isinstance(only, str) else tuple(only)
    kept = [
        (name, parameter.shape)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and (prefixes is None or _under(name, prefixes))
    ]
    idle = [prefix for prefix in prefixes or () if not any(_under(name, (prefix,)) for name, _ in kept)]
    if not kept or idle:
        if prefixes is None:
            raise ValueError(
                "the model has no trainable parameter: all are frozen. "
                "Call requires_grad_(True) on the parameters that training fitted."
            )
        known = sorted({name.split(".")[0] for name, _ in module.named_parameters()})
        raise ValueError(f"no trainable parameter lies under {idle}; the model has {known}: name one of these.")
    return Layout(tuple(name for name, _ in kept), tuple(shape for _, shape in kept))


def _under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def vector_of(module: nn.Module, layout: Layout) -> Tensor:
    """A copy of the module's parameters as one vector [parameter]; raises ValueError on NaN or infinity."""
    named = dict(module.named_parameters())
    vector = layout.flatten({name: named[name].detach() for name in layout.names}).clone()
    if not bool(torch.isfinite(vector).all()):
        broken = [name for name in layout.names if not bool(torch.isfinite(named[name]).all())]
        raise ValueError(
            f"the model's parameters hold NaN or infinity ({', '.join(broken[:5])}): "
            "training diverged; load an earlier checkpoint."
        )
    return vector


def checkpoint_hash(module: nn.Module) -> str:
    """SHA-256 (first 16 hex digits) over the names, types, shapes and bytes of parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()[:16]


def save_checkpoint(module: nn.Module, path: str | Path) -> None:
    """Write a module's state as safetensors."""
    # clones, because safetensors refuses tied parameters
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in module.state_dict().items()}
    safetensors.torch.save_file(state, str(path))


def load_checkpoint(module: nn.Module, path: str | Path) -> None:
    """Load a checkpoint (safetensors, or a state dict that ``torch.save`` wrote) into ``module``, whole or not at all.

    Nothing in the file is executed: pickles that hold more than tensors are refused.
    Raises CheckpointError for a file that is missing, corrupt, an arbitrary pickle, or of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file; check the path.")
    state = _read_state(path)
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        raise CheckpointError(
            f"{path} is of another model: it lacks {missing[:5]} and brings {unknown[:5]} that this model has not. "
            "Build the model that was trained, then load."
        )
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise CheckpointError(
                f"{path} is of another model: {name} has shape {tuple(tensor.shape)} there "
                f"and {tuple(own[name].shape)} here. Build the model that was trained, then load."
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name} holds NaN or infinity; take an earlier checkpoint.")
    module.load_state_dict(state)


def _read_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(str(path))
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is corrupt or not a safetensors file ({error}); copy or save it again."
            ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many unrelated types on a bad file
        raise CheckpointError(
            f"{path} is corrupt, or a pickle that holds more than tensors; such files are never executed here. "
            "Save model.state_dict() with safetensors.torch.save_file instead."
        ) from error
    items = state.items() if isinstance(state, Mapping) else [("", state)]
    if not all(name and isinstance(name, str) and isinstance(value, Tensor) for name, value in items):
        raise CheckpointError(f"{path} is not a state dict; save model.state_dict(), not the model.")
    return dict(state)


@torch.no_grad()
def load_vector(module: nn.Module, layout: Layout, vector: Tensor) -> None:
    """Write a vector [parameter] into the module's parameters, in their own types."""
    named = dict(module.named_parameters())
    for name, value in layout.unflatten(vector).items():
        named[name].copy_(value)

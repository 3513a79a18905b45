"""Curvature that was worked out and has a structure, as tensors: Kronecker-factored blocks, dense blocks, few rows.

They are operators like any other; what makes them worth having is that a multiple of one plus a diagonal has a cheap
inverse (:mod:`whence.solvers.factored`), and that they can be saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from whence.curvature.operator import AbstractOperator

PIECE = 256


@final
@dataclass(frozen=True, eq=False)
class KroneckerBlock:
    """(U ⊗ V) diag(values) (U ⊗ V)ᵀ for a layer's weight as a matrix [output, input], a bias as one more column.

    ``outputs`` U [output, output]; ``inputs`` V [input, input], or empty for the unit vectors; ``values``
    [output, input]; ``weight`` and ``bias``: where they lie in the vector, or (0, 0); ``transposed``: the weight is
    stored as [input, output], as an embedding's is.
    """

    outputs: Tensor
    inputs: Tensor
    values: Tensor
    weight: tuple[int, int]
    bias: tuple[int, int]
    transposed: bool = False

    def gather(self, v: Tensor) -> Tensor:
        """The block's part of v [parameter, k] as matrices [k, output, input]."""
        outputs, inputs = self.values.shape
        columns = inputs - (1 if self.bias[1] else 0)
        shape = (columns, outputs) if self.transposed else (outputs, columns)
        matrix = v[slice(*self.weight)].T.reshape(v.shape[1], *shape)
        matrix = matrix.transpose(1, 2) if self.transposed else matrix
        return torch.cat([matrix, v[slice(*self.bias)].T[:, :, None]], 2) if self.bias[1] else matrix

    def scatter(self, matrices: Tensor, into: Tensor) -> None:
        """Write matrices [k, output, input] to the block's part of ``into`` [parameter, k]."""
        if self.bias[1]:
            into[slice(*self.bias)] = matrices[:, :, -1].T
            matrices = matrices[:, :, :-1]
        matrices = matrices.transpose(1, 2) if self.transposed else matrices
        into[slice(*self.weight)] = matrices.reshape(len(matrices), -1).T

    def rotate(self, matrices: Tensor) -> Tensor:
        """Coordinates in the eigenbasis: Uᵀ M V."""
        turned = self.outputs.T @ matrices
        return turned @ self.inputs if self.inputs.numel() else turned

    def restore(self, coordinates: Tensor) -> Tensor:
        """Back from the eigenbasis: U C Vᵀ."""
        turned = self.outputs @ coordinates
        return turned @ self.inputs.T if self.inputs.numel() else turned

    def diagonal_of(self, shift: Tensor) -> Tensor:
        """The diagonal of (U ⊗ V)ᵀ diag(shift) (U ⊗ V), [output, input], for a shift [output, input]."""
        turned = self.outputs.square().T @ shift
        return turned @ self.inputs.square() if self.inputs.numel() else turned


@final
@dataclass(frozen=True, eq=False)
class KroneckerBlocks(AbstractOperator):
    """A block a layer, and ``rest`` [parameter], a diagonal: 0 where a block is; ``others`` names its parameters."""

    blocks: tuple[KroneckerBlock, ...]
    rest: Tensor
    others: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.rest)

    @property
    def dtype(self) -> torch.dtype:
        return self.rest.dtype

    @property
    def device(self) -> torch.device:
        return self.rest.device

    def matmat(self, v: Tensor) -> Tensor:
        found = self.rest[:, None] * v.to(self.rest)
        for block in self.blocks:
            block.scatter(block.restore(block.values * block.rotate(block.gather(v.to(self.rest)))), found)
        return found

    def diagonal(self) -> Tensor:
        found = self.rest.clone()[:, None]
        for block in self.blocks:
            values = block.outputs.square() @ block.values
            values = values @ block.inputs.square().T if block.inputs.numel() else values
            block.scatter(values[None], found)
        return found[:, 0]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name."""
        found = {"rest": self.rest}
        for number, block in enumerate(self.blocks):
            places = torch.tensor([*block.weight, *block.bias, int(block.transposed)], device="cpu")
            own = {"outputs": block.outputs, "inputs": block.inputs, "values": block.values, "places": places}
            found |= {f"kronecker.{number}.{name}": tensor for name, tensor in own.items()}
        return found

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> KroneckerBlocks:
        """From what ``tensors`` gave."""
        blocks: list[KroneckerBlock] = []
        while (prefix := f"kronecker.{len(blocks)}") + ".values" in tensors:
            outputs, inputs, values = (tensors[f"{prefix}.{name}"] for name in ("outputs", "inputs", "values"))
            first, second, third, fourth, transposed = tensors[f"{prefix}.places"].tolist()
            blocks.append(KroneckerBlock(outputs, inputs, values, (first, second), (third, fourth), bool(transposed)))
        return cls(tuple(blocks), tensors["rest"])


@final
@dataclass(frozen=True, eq=False)
class DenseBlocks(AbstractOperator):
    """Dense blocks on the diagonal: ``places`` [parameter of the block] and ``matrices`` of that size, one a block."""

    length: int
    places: tuple[Tensor, ...]
    matrices: tuple[Tensor, ...]

    @property
    def size(self) -> int:
        return self.length

    @property
    def dtype(self) -> torch.dtype:
        return self.matrices[0].dtype

    @property
    def device(self) -> torch.device:
        return self.matrices[0].device

    def matmat(self, v: Tensor) -> Tensor:
        found = torch.zeros_like(v, dtype=self.dtype)
        for place, matrix in zip(self.places, self.matrices, strict=True):
            found[place] = matrix @ v[place].to(matrix)
        return found

    def diagonal(self) -> Tensor:
        found = self.matrices[0].new_zeros(self.length)
        for place, matrix in zip(self.places, self.matrices, strict=True):
            found[place] = matrix.diagonal()
        return found


@final
@dataclass(frozen=True, eq=False)
class LowRank(AbstractOperator):
    """Uᵀ U for rows U [rank, parameter], in the rows' own precision; products are taken in float64."""

    rows: Tensor

    @property
    def size(self) -> int:
        return self.rows.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64

    @property
    def device(self) -> torch.device:
        return self.rows.device

    def matmat(self, v: Tensor) -> Tensor:
        return self.spread(self.project(v.double()))

    def project(self, v: Tensor) -> Tensor:
        """U v, some rows at a time, so that no second copy of all rows is made."""
        return torch.cat([piece.double() @ v for piece in torch.split(self.rows, PIECE)])

    def spread(self, coordinates: Tensor) -> Tensor:
        """Uᵀ c."""
        found = coordinates.new_zeros(self.size, coordinates.shape[1])
        for piece, own in zip(torch.split(self.rows, PIECE), torch.split(coordinates, PIECE), strict=True):
            found += piece.double().T @ own
        return found

    def diagonal(self) -> Tensor:
        total = torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for piece in torch.split(self.rows, PIECE):
            total += piece.double().square().sum(0)
        return total

"""How a row is shown to a person: as a picture, as text, or as a table of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from torch import Tensor

from whence.examples import Examples

Kind: TypeAlias = Literal["image", "text", "features"]
SMALLEST_IMAGE = 4


@dataclass(frozen=True)
class Shown:
    """``value``: for an image an array [height, width] or [height, width, 3]; a string; or features by name."""

    kind: Kind
    value: Any


def shown(examples: Examples, identity: Any) -> Shown:
    """The example of this id as it is shown: by the data's own ``show``, else by the form of its inputs.

    ``show(inputs)`` gets the row's inputs and may return a Shown, a string, a dict, or an image array. Without it
    inputs [1 or 3, height, width] and [height, width] are images, everything else is features.
    Raises KeyError for an id that is not there, TypeError if ``show`` returns something else.
    """
    inputs = examples.select([identity]).take(slice(0, 1)).inputs
    row = _first(inputs)
    if examples.show is None:
        return _by_form(row)
    value = examples.show(row)
    if isinstance(value, Shown):
        return value
    if isinstance(value, str):
        return Shown("text", value)
    if isinstance(value, dict):
        return Shown("features", value)
    if isinstance(value, np.ndarray | Tensor):
        return Shown("image", np.asarray(value))
    raise TypeError(f"show returned {type(value).__name__}: return a string, a dict of features or an image array")


def _first(inputs: Any) -> Any:
    if isinstance(inputs, Tensor):
        return inputs[0]
    if isinstance(inputs, dict):
        return {name: _first(value) for name, value in inputs.items()}
    return tuple(_first(value) for value in inputs)


def _by_form(row: Any) -> Shown:
    if isinstance(row, Tensor):
        plane = row.shape[-2:]
        large = len(plane) == 2 and min(plane) >= SMALLEST_IMAGE
        if large and (row.ndim == 2 or (row.ndim == 3 and row.shape[0] in (1, 3))):
            image = row.detach().cpu().numpy()
            if image.ndim == 3:
                image = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
            return Shown("image", image)
        return Shown("features", {f"x{index}": value for index, value in enumerate(row.reshape(-1).tolist())})
    named = row if isinstance(row, dict) else {f"input {index}": value for index, value in enumerate(row)}
    return Shown("features", {name: value.tolist() for name, value in named.items()})

"""``MODULE:FUNCTION``: a user's own code, which hands over a trained model and its data."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from whence.batch import tensors_of
from whence.cli.errors import CommandError
from whence.examples import Examples, as_examples
from whence.task import AbstractTask
from whence.tasks import Classification

PROMISE = "it must return (task or torch.nn.Module, training data, queries)"


@dataclass(frozen=True)
class Program:
    """What FUNCTION returned."""

    task: AbstractTask
    train: Examples
    queries: Examples


def load(name: str) -> Program:
    """Call ``MODULE:FUNCTION`` with the current directory on ``sys.path``.

    Raises CommandError if it cannot be found or imported, fails, or returns something else.
    """
    function = _function(name)
    try:
        found = function()
    except (Exception, SystemExit) as error:
        raise CommandError(f"{name}() raised {type(error).__name__}: {error} (--debug shows where)") from error
    if not isinstance(found, tuple | list) or len(found) != 3:
        what = f"{len(found)} values" if isinstance(found, tuple | list) else f"a {type(found).__name__}"
        raise CommandError(f"{name}() returned {what}; {PROMISE}")
    model, *data = found
    train, queries = (_examples(name, part, value) for part, value in zip(("training", "query"), data, strict=True))
    return Program(_task(name, model), train, queries)


def fingerprint(examples: Examples) -> str:
    """A hash of ids, inputs and targets: another one is another data set."""
    digest = hashlib.sha256(repr(examples.ids.tolist()).encode())
    for _, batch in examples.batches(1024):
        for tensor in [*tensors_of(batch.inputs), batch.targets]:
            value = tensor.detach().cpu().contiguous()
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"{len(examples)} examples {digest.hexdigest()[:16]}"


def _function(name: str) -> Any:
    place, _, attribute = name.partition(":")
    if not place or not attribute or place.endswith(".py") or "/" in place:
        raise CommandError(f"{name!r} names no function; write MODULE:FUNCTION, as in train:load for load in train.py")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and f"{place}.".startswith(f"{error.name}."):
            raise CommandError(f"there is no module {place!r}; start whence in the folder that holds it") from error
        raise CommandError(f"{place} needs the module {error.name!r}, which is not installed; install it") from error
    except (Exception, SystemExit) as error:
        text = f"importing {place} raised {type(error).__name__}: {error} (--debug shows where)"
        raise CommandError(text) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise CommandError(f"{place} has no function {attribute!r}; check the name after the colon")
    return function


def _task(name: str, model: Any) -> AbstractTask:
    if isinstance(model, AbstractTask):
        return model
    if isinstance(model, nn.Module):
        words = "taken as Classification(module), without penalty; return a task to say otherwise"
        print(f"{name}() returned a module: {words}", file=sys.stderr)
        return Classification(model)
    raise CommandError(f"{name}() returned a {type(model).__name__} as its model; {PROMISE}")


def _examples(name: str, part: str, data: Any) -> Examples:
    try:
        return as_examples(data)
    except (TypeError, ValueError) as error:
        raise CommandError(f"the {part} data that {name}() returned: {error}") from error

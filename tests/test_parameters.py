"""Parameters as one vector, the fingerprint of a model, and checkpoints: loaded whole or not at all."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from whence.parameters import (
    CheckpointError,
    checkpoint_hash,
    layout_of,
    load_checkpoint,
    save_checkpoint,
    vector_of,
)


def network(seed: int = 0, hidden: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, hidden), nn.BatchNorm1d(hidden), nn.Linear(hidden, 2))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight


def test_flatten_and_unflatten_are_inverse() -> None:
    model = network()
    layout = layout_of(model)
    named = dict(model.named_parameters())
    vector = layout.flatten(named)
    assert layout.names == ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias")
    assert layout.size == len(vector) == sum(parameter.numel() for parameter in model.parameters())
    assert vector[:6].tolist() == named["0.weight"].flatten().tolist()
    back = layout.unflatten(vector)
    assert list(back) == list(named)
    for name, value in back.items():
        assert torch.equal(value, named[name])
        assert torch.equal(vector[layout.slices[name]], named[name].flatten())


def test_unflatten_refuses_a_vector_of_another_length() -> None:
    layout = layout_of(network())
    with pytest.raises(RuntimeError, match="split"):
        layout.unflatten(torch.zeros(layout.size + 1))


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["2"], ("2.weight", "2.bias")),
        ("2", ("2.weight", "2.bias")),
        (["0.weight", "2.bias"], ("0.weight", "2.bias")),
        (None, ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias")),
    ],
)
def test_only_keeps_what_lies_under_a_prefix(only: Any, names: tuple[str, ...]) -> None:
    assert layout_of(network(), only).names == names


def test_a_prefix_is_a_whole_name() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(1, 1), "fc2": nn.Linear(1, 1)})
    assert layout_of(model, ["fc"]).names == ("fc.weight", "fc.bias")


@pytest.mark.parametrize("only", [["5"], ["2", "5"], ["2.weight.x"], []])
def test_a_prefix_of_nothing_is_refused(only: list[str]) -> None:
    with pytest.raises(ValueError, match=r"the model has \['0', '1', '2'\]: name one of these"):
        layout_of(network(), only)


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)
    assert layout_of(model).names == ("1.weight", "1.bias", "2.weight", "2.bias")
    with pytest.raises(ValueError, match="name one of these"):
        layout_of(model, ["0"])
    model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"Call requires_grad_\(True\)"):
        layout_of(model)


def test_the_vector_is_a_copy() -> None:
    model = network()
    vector = vector_of(model, layout_of(model))
    assert not vector.requires_grad
    vector += 1
    assert not torch.equal(vector, vector_of(model, layout_of(model)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(value: float) -> None:
    model = network()
    with torch.no_grad():
        model[2].bias[1] = value
    with pytest.raises(ValueError, match=r"\(2\.bias\): training diverged; load an earlier checkpoint"):
        vector_of(model, layout_of(model))
    assert len(vector_of(model, layout_of(model, ["0"]))) == 9


def _flip_a_bit(model: nn.Module) -> None:
    model[0].weight.detach().view(torch.int32)[1, 1] ^= 1  # type: ignore[index]


def _rename(model: nn.Module) -> None:
    model._modules["last"] = model._modules.pop("2")


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "one bit of a weight": _flip_a_bit,
    "a buffer": lambda model: model[1].running_mean.add_(1),  # type: ignore[index]
    "a type of the same bytes": lambda model: setattr(model[1], "running_mean", torch.zeros(3, dtype=torch.int32)),  # type: ignore[index]
    "a shape of the same bytes": lambda model: setattr(model[0].weight, "data", model[0].weight.data.view(2, 3)),  # type: ignore[index]
    "a name": _rename,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_sees(change: str) -> None:
    model = network()
    before = checkpoint_hash(model)
    assert len(before) == 16
    assert checkpoint_hash(copy.deepcopy(model)) == before == checkpoint_hash(network())
    CHANGES[change](model)
    assert checkpoint_hash(model) != before


def test_the_fingerprint_sees_buffers_that_are_not_saved_and_not_the_mode() -> None:
    model = network()
    model.register_buffer("scale", torch.ones(1), persistent=False)
    before = checkpoint_hash(model)
    assert checkpoint_hash(model.eval()) == before
    model.scale.mul_(2)  # type: ignore[operator, union-attr]
    assert checkpoint_hash(model) != before


@pytest.mark.parametrize("build", [network, Tied])
def test_a_checkpoint_comes_back_bit_by_bit(tmp_path: Path, build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    model, other = build(), build()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    save_checkpoint(model, tmp_path / "model.safetensors")
    load_checkpoint(other, tmp_path / "model.safetensors")
    assert checkpoint_hash(other) == checkpoint_hash(model)


def test_a_state_dict_that_torch_saved_is_read(tmp_path: Path) -> None:
    model, other = network(), network(seed=1)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    load_checkpoint(other, tmp_path / "model.pt")
    assert checkpoint_hash(other) == checkpoint_hash(model)


class Malice:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def _truncate(path: Path) -> None:
    save_checkpoint(network(), path)
    path.write_bytes(path.read_bytes()[:-20])


def _poison(path: Path) -> None:
    state = network().state_dict()
    state["2.bias"][0] = float("nan")
    safetensors.torch.save_file(state, str(path))


def _other_keys(path: Path) -> None:
    state = network().state_dict()
    state["3.weight"] = state.pop("2.weight")
    torch.save(state, path)


UNFIT: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("m.pt", lambda path: None, "no such checkpoint file; check the path"),
    "a folder": ("m.pt", lambda path: path.mkdir(), "no such checkpoint file; check the path"),
    "rubbish": ("m.pt", lambda path: path.write_bytes(b"rubbish"), "Save model.state_dict"),
    "empty": ("m.pt", lambda path: path.write_bytes(b""), "Save model.state_dict"),
    "rubbish safetensors": ("m.safetensors", lambda path: path.write_bytes(b"rubbish" * 9), "copy or save it again"),
    "empty safetensors": ("m.safetensors", lambda path: path.write_bytes(b""), "copy or save it again"),
    "truncated safetensors": ("m.safetensors", _truncate, "copy or save it again"),
    "a whole module": ("m.pt", lambda path: torch.save(network(), path), "Save model.state_dict"),
    "a nested dict": (
        "m.pt",
        lambda path: torch.save({"model": network().state_dict()}, path),
        "save model.state_dict",
    ),
    "a tensor": ("m.pt", lambda path: torch.save(torch.ones(3), path), "save model.state_dict"),
    "numbered tensors": ("m.pt", lambda path: torch.save({0: torch.ones(3), "a": torch.ones(3)}, path), "save model"),
    "other names": ("m.pt", _other_keys, "lacks .*2.weight.* brings .*3.weight.* Build the model that was trained"),
    "part of it": ("m.pt", lambda path: torch.save(network()[:2].state_dict(), path), "Build the model that was train"),
    "other shapes": (
        "m.safetensors",
        lambda path: save_checkpoint(network(hidden=4), path),
        r"0\.bias has shape \(4,\) there and \(3,\) here\. Build the model",
    ),
    "NaN": ("m.safetensors", _poison, "2.bias holds NaN or infinity; take an earlier checkpoint"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_checkpoints_change_nothing(tmp_path: Path, case: str) -> None:
    name, write, message = UNFIT[case]
    write(tmp_path / name)
    model = network(seed=5)
    before = checkpoint_hash(model)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(model, tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert checkpoint_hash(model) == before


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [pickle.dump, torch.save])
@pytest.mark.parametrize("name", ["m.pt", "m.pkl", "m.safetensors"])
def test_a_pickle_is_never_executed(tmp_path: Path, write: Callable[[Any, Any], object], name: str) -> None:
    touched = tmp_path / "touched"
    with (tmp_path / name).open("wb") as file:
        write({"0.weight": Malice(touched)}, file)
    model = network(seed=5)
    before = checkpoint_hash(model)
    with pytest.raises(CheckpointError, match=r"save it again|never executed here"):
        load_checkpoint(model, tmp_path / name)
    assert not touched.exists()
    assert checkpoint_hash(model) == before
    with (tmp_path / name).open("rb") as file:
        pickle.load(file) if write is pickle.dump else torch.load(file, weights_only=False)  # noqa: S301
    assert touched.exists()  # the trap works

"""Embeddings are what the layers put out: shapes, values, order, and a module that is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import whence as wh
from whence.embedding.activations import activations, layer_names
from whence.models import all_cnn

# Table 4.1 of Brinkman and Larsson Hörkén (2018), vectorised
SIZES = {
    "h1_a": 26 * 26 * 8,
    "h1_c": 12 * 12 * 8,
    "h2_a": 10 * 10 * 8,
    "h2_c": 4 * 4 * 8,
    "h3_a": 2 * 2 * 8,
    "h3_c": 2 * 2 * 10,
    "h3_d": 10,
    "logits": 10,
}


def examples_of(*inputs: Tensor) -> wh.examples.Examples:
    return wh.as_examples((*inputs, torch.zeros(len(inputs[0]))))


def images(count: int) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


class Sometimes(nn.Module):
    """Has a layer that does not run, one that returns a pair, and one that fails on large numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.pair, self.strict = nn.Linear(4, 4), nn.GRU(4, 3, batch_first=True), Strict()

    def forward(self, x: Tensor) -> Tensor:
        return self.strict(self.pair(x[:, None])[0][:, 0])


class Strict(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 3:
            raise RuntimeError("three is too many")
        return x


class Pair(nn.Module):
    """Takes two tensors by position."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(4, 3)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.left(a) + self.right(b)


def hooks(module: nn.Module) -> int:
    return sum(len(layer._forward_hooks) for layer in module.modules())


def test_every_layer_of_the_network_has_the_tables_size() -> None:
    found = activations(all_cnn(0), list(SIZES), examples_of(images(3)))
    assert {name: tuple(value.shape) for name, value in found.items()} == {n: (3, d) for n, d in SIZES.items()}
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in found.values())


def test_values_are_the_layers_outputs_in_order_whatever_the_batches() -> None:
    net, x = all_cnn(1).double(), images(7).double()
    expected, value = {"input": x}, x
    for name, layer in net.named_children():
        value = expected[name] = layer(value)
    expected["output"] = value
    order = np.array([4, 0, 6, 1, 2, 5, 3])
    found = activations(net, list(expected), examples_of(x)[order], batch_size=3)
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach().reshape(7, -1)[order], rtol=1e-12, atol=1e-14)


def test_names_are_the_modules_that_can_be_asked_for() -> None:
    net = all_cnn(0)
    names = layer_names(net)
    assert names[:3] == ["h1_a", "h1_a.conv", "h1_a.tanh"]
    assert set(activations(net, names, examples_of(images(2)))) == set(names)


def test_one_name_will_do_and_a_name_twice_is_asked_once() -> None:
    net, x = networks.mlp(), torch.randn(3, 4)
    assert list(activations(net, "0", examples_of(x))) == ["0"]
    assert list(activations(net, ["0", "input", "0"], examples_of(x))) == ["0", "input"]


def test_a_layer_that_works_in_place_does_not_spoil_the_one_before() -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    x = torch.randn(6, 4)
    torch.testing.assert_close(activations(net, ["0"], examples_of(x))["0"], net[0](x).detach())


def test_named_and_paired_inputs_are_fed_as_a_task_feeds_them() -> None:
    net = networks.TwoInputs()
    left, right = torch.randn(5, 2), torch.randn(5, 3)
    named = wh.as_examples({"left": left, "right": right, "targets": torch.zeros(5)})
    torch.testing.assert_close(activations(net, ["right"], named, 2)["right"], net.right(right).detach())
    pair, b = Pair(), torch.randn(5, 4)
    torch.testing.assert_close(activations(pair, "output", examples_of(left, b))["output"], pair(left, b).detach())
    for module, data, said in ((net, named, "named columns"), (pair, examples_of(left, b), "2 tensors")):
        with pytest.raises(ValueError, match=f"the inputs are {said}, not a single tensor"):
            activations(module, ["input"], data)


def test_other_parameters_can_stand_in() -> None:
    net, other, x = networks.mlp(), networks.mlp(), torch.randn(3, 4)
    found = activations(net, "2", examples_of(x), parameters=dict(other.named_parameters()))["2"]
    torch.testing.assert_close(found, other(x).detach())
    assert not torch.allclose(found, net(x).detach())


def test_the_module_is_left_as_it_was_in_its_mode() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(8, 4)
    found = activations(net, ["1"], examples_of(x))["1"]
    torch.testing.assert_close(found.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    assert net.training
    assert hooks(net) == 0
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_hooks_are_gone_after_an_exception() -> None:
    net = Sometimes()
    with pytest.raises(RuntimeError, match="three is too many"):
        activations(net, ["strict"], examples_of(torch.randn(5, 4)), batch_size=3)
    assert hooks(net) == 0


def test_an_unknown_layer_is_named_with_what_is_near_and_what_there_is() -> None:
    with pytest.raises(KeyError, match=r"no layer 'h1a'; did you mean 'h1_a'.*It has h1_a, h1_a.conv.*input, output"):
        activations(all_cnn(0), ["h1a"], examples_of(images(2)))


@pytest.mark.parametrize(
    ("module", "layer", "x", "said"),
    [
        (Sometimes(), "idle", torch.randn(2, 4), "'idle' does not run"),
        (Sometimes(), "pair", torch.randn(2, 4), "'pair' returns tuple, not a tensor"),
        (networks.Shared(), "middle", torch.randn(2, 4), "'middle' runs 2 times"),
        (networks.Positions(), "enter", torch.randn(4, 5, 2), "for 2 examples: it needs one row an example"),
        # as many positions as examples: the first dimension is not the examples', though its length fits
        (networks.PositionFirst(), "enter", torch.randn(5, 5, 2), r"shape \(5, 2, 3\) for 2 examples"),
    ],
)
def test_a_layer_without_one_row_an_example_is_refused(module: nn.Module, layer: str, x: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        activations(module, [layer], examples_of(x))


def test_nothing_to_do_is_refused() -> None:
    net, some = networks.mlp(), examples_of(torch.randn(3, 4))
    for layers, data, size in (([], some, 2), (["0"], some[:0], 2), (["0"], some, 0)):
        with pytest.raises(ValueError, match="give one or more of each"):
            activations(net, layers, data, size)

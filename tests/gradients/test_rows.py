"""Per-example gradients and Jacobians against loops of backward passes, by both ways, for every model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
import oracles
import whence as wh
from problems import NAMES, Problem, problem, untrained
from whence.gradients import layers, rows

FUNCTIONAL = ["bilinear"]
WAYS = [(name, way) for name in NAMES for way in ("layers", "functional") if (name, way) != ("bilinear", "layers")]


def put_together(found: Any, like: Problem) -> Tensor:
    """The pieces in one matrix, after a check that they cover all examples in order."""
    pieces, covered = [], 0
    for window, *_, piece in found:
        assert window == slice(covered, covered + len(piece))
        covered += len(piece)
        pieces.append(piece)
    assert covered == len(like.train)
    return torch.cat(pieces)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("of", ["loss", "measure"])
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_gradient_rows(name: str, way: rows.Way, of: Any) -> None:
    p = problem(name, measure=lambda output, batch: output.reshape(len(batch), -1).exp().sum(1))
    theta = p.task.parameters()
    found = put_together(rows.gradient_rows(p.task, theta, p.train, of, 7, way), p)
    assert_equal(found, oracles.example_gradients(p.task, theta, p.train, of))


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_jacobians(name: str, way: rows.Way) -> None:
    p = problem(name)
    theta = p.task.parameters()
    found = put_together(rows.jacobians(p.task, theta, p.train, 7, way), p)
    assert_equal(found, oracles.example_jacobians(p.task, theta, p.train))


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_cotangent_rows_are_products_with_the_jacobian(name: str, way: rows.Way) -> None:
    p = problem(name)
    theta = p.task.parameters()
    jacobians = oracles.example_jacobians(p.task, theta, p.train)
    chosen = torch.randn(jacobians.shape[:2], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pieces = rows.cotangent_rows(
        p.task, theta, p.train, lambda window, out, _: chosen[window].reshape(out.shape), 7, way
    )
    assert_equal(put_together(pieces, p), torch.einsum("no,nop->np", chosen, jacobians))


@pytest.mark.parametrize("name", NAMES)
def test_rows_add_up_to_differences_of_the_loss(name: str) -> None:
    p = problem(name)
    theta, batch = p.task.parameters(), p.train.take(slice(None))
    expected = oracles.central_differences(lambda t: p.task.loss(p.task.predict(t, batch), batch).sum(), theta)
    found = put_together(rows.gradient_rows(p.task, theta, p.train), p)
    torch.testing.assert_close(found.sum(0), expected, rtol=1e-5, atol=1e-6 * float(found.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_the_way_is_by_layers_where_they_hold_all_parameters(name: str) -> None:
    p = problem(name)
    expected = "functional" if name in FUNCTIONAL else "layers"
    assert rows.way_for(p.task, p.task.parameters(), p.train) == expected
    rough = problem(name, dtype=torch.float32)
    assert rows.way_for(rough.task, rough.task.parameters(), rough.train) == expected


def test_a_part_of_the_parameters() -> None:
    whole = problem("conv")
    task = wh.Classification(whole.task.module, only=["2", "5.bias"])
    theta = task.parameters()
    expected = oracles.example_gradients(task, theta, whole.train)
    assert expected.shape[1] == 2 * 4 + 2 + 3
    for way in ("layers", "functional"):
        assert_equal(torch.cat([piece for _, piece in rows.gradient_rows(task, theta, whole.train, way=way)]), expected)
    inner = wh.Classification(problem("bilinear").task.module, only=["form"])
    assert rows.way_for(inner, inner.parameters(), whole.train) == "functional"


GENERATOR = torch.Generator().manual_seed(3)
VECTORS = torch.randn(12, 4, generator=GENERATOR, dtype=torch.float64)
SEQUENCES = torch.randn(12, 5, 2, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.arange(12) % 3


def traps() -> list[Any]:
    """Models whose parameters lie in plain layers, and whose gradients taking layers apart gets wrong."""
    torch.manual_seed(0)
    return [
        pytest.param(networks.Outside(), VECTORS, id="weight-used-outside-its-layer"),
        pytest.param(nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)), VECTORS, id="in-place"),
        pytest.param(networks.Positions(), SEQUENCES, id="positions-in-the-batch"),
        pytest.param(networks.PositionFirst(), SEQUENCES, id="position-first"),
        pytest.param(networks.PositionFirst(), SEQUENCES[:, :3], id="three-positions-first"),
        pytest.param(networks.PositionFirst(), torch.cat([SEQUENCES, SEQUENCES], 1)[:, :8], id="eight-positions-first"),
    ]


@pytest.mark.parametrize(("module", "x"), traps())
@pytest.mark.parametrize("count", [1, 3, 12])
def test_layers_are_not_taken_apart_where_that_is_wrong(module: Any, x: Tensor, count: int) -> None:
    p = untrained(module, x[:count], LABELS[:count])
    theta = p.task.parameters()
    assert layers.covers(p.task.module, p.task.layout)
    found = put_together(rows.gradient_rows(p.task, theta, p.train), p)
    assert_equal(found, oracles.example_gradients(p.task, theta, p.train))


def test_the_check_of_layers_does_not_trust_gradients_that_vanish() -> None:
    """A model that fits its first examples has no loss gradient there, right or wrong."""
    torch.manual_seed(0)
    module = networks.Outside().double()
    p = untrained(module, VECTORS, module(VECTORS).detach(), wh.Regression)
    assert rows.way_for(p.task, p.task.parameters(), p.train) == "functional"


def test_layers_that_run_without_gradients_are_left_out() -> None:
    """A frozen use of a layer beside a studied one."""

    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                hidden = self.enter(x)
            return self.leave(hidden)

    p = untrained(Half(), VECTORS, LABELS)
    found = put_together(rows.gradient_rows(p.task, p.task.parameters(), p.train), p)
    assert_equal(found, oracles.example_gradients(p.task, p.task.parameters(), p.train))


def test_hooks_are_removed_when_the_model_fails() -> None:
    p = problem("mlp")
    broken = p.train.source.inputs[:3, :2]
    with pytest.raises(RuntimeError):
        layers.record(p.task, p.task.parameters(), wh.as_examples((broken, LABELS[:3])).take(slice(None)))
    assert not any(layer._forward_hooks for layer in p.task.module.modules())


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_rows_of_many_cotangents_are_those_of_each(name: str, way: rows.Way) -> None:
    p = problem(name)
    theta = p.task.parameters()
    jacobians = oracles.example_jacobians(p.task, theta, p.train)
    chosen = torch.randn(2, *jacobians.shape[:2], generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def cotangents(window: slice, output: Tensor, batch: Any) -> list[Tensor]:
        assert len(output) == len(batch)
        return [one[window].reshape(output.shape) for one in chosen]

    found = list(rows.rows_of_many(p.task, theta, p.train, cotangents, 7, way))
    for number, one in enumerate(chosen):
        assert_equal(torch.cat(found[number::2]), torch.einsum("no,nop->np", one, jacobians))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(3, 1, 0, 1), (3, 2, 1, 1), ((3, 2), (2, 1), (1, 0), (2, 1)), (1, 1, 0, 1), ((5, 3), 2, 2, 2)],
)
def test_windows_of_a_convolution_are_those_of_unfold(kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    layer = nn.Conv2d(4, 6, kernel, stride, padding, dilation)
    images = torch.randn(3, 4, 17, 19, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.unfold(images, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    found = layers.entering(layers.Call(layer, "", images, layer(images)))
    assert torch.equal(found, expected.transpose(1, 2))
    line = nn.Conv1d(4, 6, 3, 2, 1, 2)
    found = layers.entering(layers.Call(line, "", images[:, :, 0], line(images[:, :, 0])))
    expected = nn.functional.unfold(images[:, :, :1], (1, 3), (1, 2), (0, 1), (1, 2))
    assert torch.equal(found, expected.transpose(1, 2))

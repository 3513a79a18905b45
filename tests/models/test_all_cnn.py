"""The networks: layer shapes (Table 4.1 of Brinkman and Larsson Hörkén, 2018), counts, initial weights, seeds."""

import math

import pytest
import torch
from torch import nn

from whence.models import AllCNN, all_cnn, linear_model, small_all_cnn

MNIST = {
    "h1_a": (8, 26, 26),
    "h1_c": (8, 12, 12),
    "h2_a": (8, 10, 10),
    "h2_c": (8, 4, 4),
    "h3_a": (8, 2, 2),
    "h3_c": (10, 2, 2),
    "h3_d": (10,),
    "logits": (10,),
}
DIGITS = {"h1_a": (8, 6, 6), "h2_a": (8, 4, 4), "h3_a": (8, 2, 2), "h3_c": (10, 2, 2), "h3_d": (10,), "logits": (10,)}
CASES = [
    pytest.param(all_cnn, 28, MNIST, 2616, id="mnist"),
    pytest.param(small_all_cnn, 8, DIGITS, 1448, id="digits"),
]


def activations(net: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda _m, _i, output, name=name: seen.__setitem__(name, output.detach()))
    net(images)
    return seen


@pytest.mark.parametrize(("build", "size", "shapes", "count"), CASES)
def test_shapes_and_count(build, size, shapes, count) -> None:  # type: ignore[no-untyped-def]
    net = build(0)
    assert sum(p.numel() for p in net.parameters()) == count
    seen = activations(net, torch.rand(5, 1, size, size))
    assert {name: tuple(value.shape) for name, value in seen.items()} == {n: (5, *s) for n, s in shapes.items()}


@pytest.mark.parametrize(("build", "size", "shapes", "count"), CASES)
def test_equals_the_formula(build, size, shapes, count) -> None:  # type: ignore[no-untyped-def]
    net = build(1).double()
    images = torch.rand(3, 1, size, size, dtype=torch.float64)
    seen = activations(net, images)
    value = images
    for name in [name for name in shapes if name not in ("h3_d", "logits")]:
        conv = getattr(net, name).conv
        value = torch.tanh(nn.functional.conv2d(value, conv.weight, conv.bias, stride=conv.stride))
        assert torch.allclose(seen[name], value)
    value = value.sum(dim=(2, 3)) / 4
    assert torch.allclose(seen["logits"], value @ net.logits.weight.T + net.logits.bias)


@pytest.mark.parametrize("build", [all_cnn, small_all_cnn])
def test_initial_weights(build) -> None:  # type: ignore[no-untyped-def]
    nets = [build(seed) for seed in range(60)]
    shrunk = 0.8796  # standard deviation of a standard normal cut at +-2
    for name, module in nets[0].named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        fan_in = module.weight[0].numel()
        sigma = (2 if isinstance(module, nn.Conv2d) else 1) / math.sqrt(fan_in)
        weights = torch.stack([net.get_submodule(name).weight.detach() for net in nets])
        assert weights.abs().max() <= 2 * sigma
        assert weights.abs().max() > 1.9 * sigma
        assert float(weights.std()) == pytest.approx(shrunk * sigma, rel=0.05)
        assert abs(float(weights.mean())) < 0.05 * sigma
        assert not any(net.get_submodule(name).bias.any() for net in nets)


@pytest.mark.parametrize("build", [all_cnn, small_all_cnn])
def test_the_seed_alone_decides(build) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build(7)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    again, other = build(7), build(8)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert "bias" in name or not torch.equal(value, other.state_dict()[name])


def test_forward_mode_agrees_with_reverse_mode() -> None:
    net = small_all_cnn(0).double()
    images = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    direction = {name: torch.ones_like(p) for name, p in parameters.items()}

    def total(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(net, values, (images,)).square().sum()

    _, forward = torch.func.jvp(total, (parameters,), (direction,))
    reverse = sum(g.sum() for g in torch.func.grad(total)(parameters).values())
    assert float(forward) == pytest.approx(float(reverse), rel=1e-10)


@pytest.mark.parametrize("layers", [(), (("h1_a", 1), ("h1_a", 1)), (("logits", 1),), (("h1_a", 0),)])
def test_impossible_layers_raise(layers) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"names|strides"):
        AllCNN(layers, seed=0)


def test_linear_model_starts_at_zero() -> None:
    before = torch.get_rng_state()
    net = linear_model(5, 3, dtype=torch.float32)
    assert torch.equal(before, torch.get_rng_state())
    assert (net.weight.shape, net.weight.dtype) == ((3, 5), torch.float32)
    assert not net.weight.any()
    assert not net.bias.any()
    assert net.weight.requires_grad
    assert linear_model(5, 3, bias=False).bias is None
    assert linear_model(5, 3).weight.dtype == torch.float64
    with pytest.raises(ValueError, match="at least 1"):
        linear_model(0, 1)

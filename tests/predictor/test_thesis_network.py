"""The network of Table 4.3: its size, what it can learn, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whence.predictor import ThesisNetwork, split, thesis_inputs


def test_defaults_are_table_4_3() -> None:
    network = ThesisNetwork()
    assert (network.epochs, network.batch, network.learning_rate, network.l2) == (250, 25, 1e-3, 1e-4)
    built = network.build(20)
    assert [tuple(p.shape) for p in built.parameters() if p.ndim > 1] == [(100, 20)] + [(100, 100)] * 4 + [(1, 100)]
    assert sum(p.numel() for p in built.parameters()) == 20 * 100 + 100 + 4 * (100 * 100 + 100) + 100 + 1
    weights = torch.cat([p.flatten() for p in built.parameters() if p.ndim > 1]).detach()
    assert float(weights.abs().max()) <= 0.05
    assert float(weights.var()) == pytest.approx(0.1**2 / 12, rel=0.03)
    assert not any(p.any() for p in built.parameters() if p.ndim == 1)
    assert isinstance(built[-1], torch.nn.Linear)


@pytest.mark.parametrize(("size", "scale"), [(1.0, False), (1e-3, True)])
def test_learns_a_linear_map(size: float, scale: bool) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4))
    y = size * x @ np.array([1.0, -2.0, 0.5, 0.0])
    fit, rest = split(300)
    fitted = ThesisNetwork(epochs=60, scale=scale).fit(x[fit], y[fit], (x[rest], y[rest]))
    assert len(fitted.train_error) == len(fitted.held_out_error) == 61
    assert fitted.held_out_error[-1] < 0.2 * fitted.held_out_error[0]
    assert np.corrcoef(fitted.predict(x[rest]), y[rest])[0, 1] > 0.97
    assert fitted.held_out_error[-1] == pytest.approx(np.abs(fitted.predict(x[rest]) - y[rest]).mean(), rel=1e-6)


def test_regularisation_is_the_gradient_of_the_sum_of_squares() -> None:
    # one linear unit is out of reach, so one step of Adam is compared with autograd's at the same start
    network = ThesisNetwork(epochs=1, batch=8, layers=1, nodes=3, l2=0.5)
    x, y = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32), np.ones(8)
    oracle = network.build(2)
    loss = (oracle(torch.from_numpy(x))[:, 0] - 1).abs().mean()
    loss = loss + 0.5 * sum((p.square().sum() for p in oracle.parameters() if p.ndim > 1), torch.tensor(0.0))
    optimizer = torch.optim.Adam(oracle.parameters(), lr=1e-3)
    loss.backward()
    optimizer.step()
    fitted = network.fit(x, y)
    for ours, theirs in zip(fitted.network.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=0, atol=1e-6)


def test_repeats_and_leaves_the_global_generator_alone() -> None:
    x, y = np.random.default_rng(2).normal(size=(30, 3)), np.arange(30.0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (ThesisNetwork(epochs=2).fit(x, y).predict(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.array_equal(first, ThesisNetwork(epochs=2, seed=1).fit(x, y).predict(x))


def test_inputs_and_split() -> None:
    x = thesis_inputs(np.array([[0.5, 1.0], [2.0, 3.0]]), np.array([2, 0]))
    np.testing.assert_array_equal(x, [[0.5, 1, 0, 0, 1], [2, 3, 1, 0, 0]])
    fit, rest = split(10, 0.8, seed=3)
    assert len(fit) == 8
    assert sorted([*fit, *rest]) == list(range(10))


def test_refuses() -> None:
    with pytest.raises(ValueError, match="one side empty"):
        split(3, 0.99)
    with pytest.raises(ValueError, match="one class number"):
        thesis_inputs(np.zeros((2, 2)), np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="not finite"):
        ThesisNetwork().fit(np.zeros((2, 2)), np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match=r"Table 4.3"):
        ThesisNetwork(epochs=0)
    with pytest.raises(ValueError, match="columns that the network learnt"):
        ThesisNetwork(epochs=1).fit(np.zeros((2, 2)), np.zeros(2)).predict(np.zeros((2, 3)))

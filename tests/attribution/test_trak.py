"""TRAK against the paper's formula with the projection as a matrix, and against traker."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
import oracles
import whence as wh
from problems import Problem, problem
from whence.attribution import projection
from whence.attribution.projection import Projection
from whence.batch import Batch


def margins(p: Problem, theta: Tensor, examples: Any) -> Tensor:
    """log p/(1 − p) of the label, from the probability."""
    batch = examples.take(slice(None))
    probability = p.task.predict(theta, batch).softmax(1)[torch.arange(len(batch)), batch.targets]
    return (probability / (1 - probability)).log()


def margin_gradients(p: Problem, theta: Tensor, examples: Any) -> Tensor:
    return torch.stack(
        [oracles.gradient(lambda t, i=i: margins(p, t, examples[[i]])[0], theta) for i in range(len(examples))]
    )


def matrix(size: int, dimension: int, seed: int, kind: Any) -> Tensor:
    """The projection, from its action on unit vectors."""
    return next(Projection(size, dimension, seed, kind).down([(slice(0, size), torch.eye(size).double())]))


def by_the_paper(p: Problem, thetas: list[Tensor], dimension: int, kind: Any, ridge: float, seed: int) -> Tensor:
    kernels, weights = [], []
    for number, theta in enumerate(thetas):
        drawn = matrix(len(theta), dimension, seed + 1_000_003 * number, kind)
        own = margin_gradients(p, theta, p.train) @ drawn
        asked = margin_gradients(p, theta, p.queries) @ drawn
        gram = own.T @ own + len(own) * ridge * torch.eye(dimension).double()
        kernels.append(asked @ torch.linalg.inv(gram) @ own.T)
        weights.append(1 - torch.sigmoid(margins(p, theta, p.train)))
    return torch.stack(kernels).mean(0) * torch.stack(weights).mean(0)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
@pytest.mark.parametrize("name", ["mlp", "conv", "bilinear"])
def test_trak_equals_the_papers_formula(name: str, kind: Any, keep: bool) -> None:
    p = problem(name)
    theta = p.objective.theta
    thetas = [theta, 0.8 * theta + 0.05]
    expected = by_the_paper(p, thetas, 7, kind, 0.01, 3)
    method = wh.TRAK(7, thetas, kind, 0.01, keep_features=keep, seed=3)
    explainer = method.fit(p.task, p.train)
    scores = explainer.attribute(p.queries)
    np.testing.assert_allclose(scores, expected, rtol=1e-8, atol=1e-9 * float(expected.abs().max()))
    assert ("features 0" in explainer.prepared.tensors) == keep
    assert scores.attrs["notes"]["members"] == 2
    assert scores.attrs["quantity"] == "TRAK score"
    shrunk = wh.TRAK(7, thetas, kind, 0.01, threshold=0.01, seed=3).fit(p.task, p.train).attribute(p.queries)
    soft = torch.where(expected.abs() > 0.01, expected - 0.01 * expected.sign(), 0.0)
    np.testing.assert_allclose(shrunk, soft, rtol=1e-7, atol=1e-9)


def test_a_full_projection_drops_out() -> None:
    """With as many dimensions as parameters, and no ridge, the projection cancels."""
    p = problem("ridge")
    own = oracles.example_gradients(p.task.with_measure("prediction"), p.objective.theta, p.train, "measure")
    asked = oracles.example_gradients(p.task, p.objective.theta, p.queries)
    batch = p.train.take(slice(None))
    slope = 2 * (p.task.predict(p.objective.theta, batch)[:, 0] - batch.targets)
    expected = asked @ torch.linalg.inv(own.T @ own) @ own.T * slope
    for seed in (0, 1):
        with pytest.warns(RuntimeWarning, match="in 5 dimensions, for 5 parameters"):
            explainer = wh.TRAK(5, projection="gaussian", seed=seed).fit(p.task, p.train)
        scores = explainer.attribute(p.queries)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_any_measurement_has_the_sign_of_a_removal() -> None:
    p = problem("mlp")
    loss = wh.TRAK(6, ridge=0.01).fit(p.task, p.train).attribute(p.queries)
    logit = wh.TRAK(6, ridge=0.01).fit(p.task.with_measure(label_margin), p.train).attribute(p.queries)
    np.testing.assert_allclose(logit, -loss, rtol=1e-9)


def label_margin(output: Tensor, batch: Batch) -> Tensor:
    probability = output.softmax(1)[torch.arange(len(batch)), batch.targets]
    return (probability / (1 - probability)).log()


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_a_projection_keeps_inner_products_on_average_and_does_not_hang_on_its_blocks(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.arange(60.0).reshape(3, 20).sin().double()
    drawn = [next(Projection(20, 10, seed, kind).down([(slice(0, 3), rows)])) for seed in range(3000)]
    mean = torch.stack([one @ one.T for one in drawn]).mean(0)
    np.testing.assert_allclose(mean, rows @ rows.T, atol=0.25)
    one = Projection(20, 10, 1, kind)
    np.testing.assert_allclose(one.up(torch.eye(10).double()).T, matrix(20, 10, 1, kind).T)
    monkeypatch.setattr(projection, "BLOCK_BYTES", 4 * 10 * 7)
    cut = Projection(20, 10, 1, kind)
    whole = next(cut.down([(slice(0, 20), torch.eye(20).double())]))
    assert len(list(cut._blocks(whole))) == 3
    np.testing.assert_allclose(cut.up(torch.eye(10).double()), whole)
    monkeypatch.setattr(projection, "HELD_BYTES", 0)
    np.testing.assert_allclose(next(cut.down([(slice(0, 20), torch.eye(20).double())])), whole)
    assert len(torch.unique(whole.round(decimals=6))) == (2 if kind == "rademacher" else 200)


def test_a_dimension_near_the_rank_is_not_silent() -> None:
    p = problem("mlp")  # 35 parameters, 24 examples
    with pytest.raises(ValueError, match=r"do not span 30 dimensions.*lower the dimension, or add a ridge"):
        wh.TRAK(30).fit(p.task, p.train)
    for dimension, words in (
        (23, r"condition number \d.\de\+0"),
        (13, "in 13 dimensions, for 35 parameters and 24 examples"),
    ):
        with pytest.warns(RuntimeWarning, match=words):
            wh.TRAK(dimension).fit(p.task, p.train)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        wh.TRAK(4).fit(p.task, p.train)
        wh.TRAK(30, ridge=0.1).fit(p.task, p.train)


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension must be at least 1"):
        wh.TRAK(0)
    with pytest.raises(ValueError, match="projection must be one of"):
        wh.TRAK(4, projection="normal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be negative"):
        wh.TRAK(4, ridge=-1.0)
    p = problem("poisson")
    with pytest.raises(TypeError, match="not for custom: use InfluenceFunction"):
        wh.TRAK(3).fit(p.task, p.train)


def trained(count: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A network of 103 parameters in float32, some way down to its minimum, and its data."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        module = networks.mlp(6, 10, 3)
        x = torch.randn(count, 6)
        labels = (x @ torch.randn(6, 3) + torch.randn(count, 3)).argmax(1)
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    return module.eval(), x, labels


def scores_of_traker(net: nn.Module, data: tuple[Tensor, Tensor], asked: int, projector: Any, place: Path) -> Any:
    """Scores [query, train] of the first ``asked`` examples."""
    trak = pytest.importorskip("trak", reason="traker is not installed; the paper's formula holds without it")
    options = {"projector": projector, "proj_dim": projector.proj_dim, "use_half_precision": False, "device": "cpu"}
    peer = trak.TRAKer(
        net, "image_classification", train_set_size=len(data[0]), save_dir=str(place), logging_level=40, **options
    )
    peer.load_checkpoint(net.state_dict(), model_id=0)
    peer.featurize(batch=data, num_samples=len(data[0]))
    peer.finalize_features()
    peer.start_scoring_checkpoint("asked", net.state_dict(), model_id=0, num_targets=asked)
    peer.score(batch=tuple(column[:asked] for column in data), num_samples=asked)
    return np.array(peer.finalize_scores("asked")).T


def test_trak_equals_traker_with_the_same_projection(tmp_path: Path) -> None:
    projectors = pytest.importorskip("trak.projectors", reason="traker is not installed; the formula holds without it")
    net, x, labels = trained(400)
    task, train = wh.Classification(net), wh.as_examples((x, labels))

    class Same(projectors.AbstractProjector):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__(103, 24, 0, "rademacher", "cpu")

        def project(self, grads: Any, model_id: int) -> Tensor:
            rows = projectors.vectorize(grads, device="cpu") if isinstance(grads, dict) else grads
            return rows.float() @ matrix(103, 24, 5, "rademacher").float()

        def free_memory(self) -> None:
            pass

    theirs = scores_of_traker(net, (x, labels), 8, Same(), tmp_path)
    ours = wh.TRAK(24, seed=5).fit(task, train).attribute(train[:8]).values
    scale = np.sum(ours * theirs) / np.sum(ours * ours)  # traker divides its inverse by the mean size of its entries
    np.testing.assert_allclose(scale * ours, theirs, rtol=1e-3, atol=1e-4 * float(abs(theirs).max()))


def test_trak_agrees_with_traker_over_seeds(tmp_path: Path) -> None:
    """Their projections are drawn otherwise; averaged over seeds at the same dimension the scores agree a query."""
    projectors = pytest.importorskip("trak.projectors", reason="traker is not installed; the formula holds without it")
    net, x, labels = trained(400)
    task, train = wh.Classification(net), wh.as_examples((x, labels))
    theirs, ours = [], []
    for seed in range(100):
        projector = projectors.BasicProjector(103, 40, seed, "rademacher", "cpu", block_size=20)
        theirs.append(scores_of_traker(net, (x, labels), 8, projector, tmp_path / str(seed)))
        ours.append(wh.TRAK(40, seed=seed).fit(task, train).attribute(train[:8]).values)
    pairs = zip(np.mean(ours, 0), np.mean(theirs, 0), strict=True)
    found = [float(np.corrcoef(mine, peers)[0, 1]) for mine, peers in pairs]
    assert min(found) >= 0.95, found

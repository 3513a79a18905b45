"""The checks at the door: what does not fit is refused before any work, with the remedy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from whence.checks import check_data, check_repeatable
from whence.examples import Examples, as_examples
from whence.objective import Objective, objective_of
from whence.task import AbstractTask
from whence.tasks import Classification, CustomTask, Regression

N, FEATURES = 12, 3
IDS = [f"e{i}" for i in range(N)]


def data(targets: Any = None, inputs: Any = None) -> Examples:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(N, FEATURES, generator=generator) if inputs is None else inputs
    return as_examples((inputs, torch.arange(N) % 3 if targets is None else targets), ids=IDS)


def network(*layers: nn.Module, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 4), *layers, nn.Linear(4, outputs))


def check(task: AbstractTask, examples: Examples, name: str = "training") -> None:
    check_data(task, task.parameters(), examples, name)


def repeat(task: AbstractTask, examples: Examples) -> None:
    check_repeatable(task, task.parameters(), examples)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_named(value: float) -> None:
    inputs = torch.zeros(N, FEATURES)
    inputs[3, 1] = inputs[10, 0] = value
    for given in (inputs, {"unused": torch.arange(N), "features": inputs}):
        with pytest.raises(ValueError, match=r"the query set.*\['e3', 'e10'\]: remove or repair them"):
            check(Classification(network()), data(inputs=given), "query")


def test_positions_in_a_later_batch_are_named_rightly() -> None:
    inputs = torch.zeros(3000, FEATURES)
    inputs[2999] = float("nan")
    examples = as_examples((inputs, torch.zeros(3000, dtype=torch.int64)), ids=np.arange(3000) + 70_000)
    with pytest.raises(ValueError, match=r"\[72999\]: remove or repair"):
        check(Classification(network()), examples)


UNFIT: dict[str, tuple[Callable[[], AbstractTask], Callable[[], Examples], str]] = {
    "float labels": (
        lambda: Classification(network()),
        lambda: data(torch.arange(N) % 3.0),
        r"y\.astype\('int64'\)",
    ),
    "one-hot labels": (
        lambda: Classification(network()),
        lambda: data(torch.eye(3, dtype=torch.int64)[torch.arange(N) % 3]),
        r"use y\.argmax\(1\)",
    ),
    "boolean labels": (
        lambda: Classification(network(outputs=2)),
        lambda: data(torch.arange(N) % 2 == 0),
        "class numbers",
    ),
    "labels above the classes": (
        lambda: Classification(network(outputs=2)),
        data,
        "run from 0 to 2, but the model has the classes 0 to 1: renumber the labels",
    ),
    "labels below the classes": (
        lambda: Classification(network()),
        lambda: data(torch.arange(N) % 3 - 1),
        "run from -1 to 1, .*: renumber the labels",
    ),
    "a classifier with one output": (
        lambda: Classification(network(outputs=1)),
        lambda: data(torch.zeros(N, dtype=torch.int64)),
        "use CustomTask with your loss",
    ),
    "a classifier without a class dimension": (
        lambda: Classification(nn.Sequential(network(outputs=1), nn.Flatten(0))),
        data,
        r"needs \[batch, class\]",
    ),
    "an output a pixel": (
        lambda: Classification(network(nn.Unflatten(1, (1, 4)))),
        data,
        r"has shape \(12, 1, 3\) for 12 examples; cross-entropy needs \[batch, class\]",
    ),
    "more outputs than targets": (
        lambda: Regression(network(outputs=2)),
        lambda: data(torch.zeros(N)),
        "one target for each output: reshape the targets",
    ),
    "outputs of other examples": (
        lambda: Regression(nn.Sequential(network(outputs=1), nn.Flatten(0), nn.Unflatten(0, (N // 2, 2)))),
        lambda: data(torch.zeros(N)),
        "reshape the targets",
    ),
    "targets that are not finite": (
        lambda: Regression(network(outputs=1)),
        lambda: data(torch.full((N,), float("nan"))),
        "remove or repair the rows",
    ),
    "boolean targets": (
        lambda: Regression(network(outputs=1)),
        lambda: data(torch.arange(N) % 2 == 0),
        "targets must be finite numbers",
    ),
    "a mean for a loss": (
        lambda: CustomTask(network(), lambda output, batch: output.mean()),
        data,
        "reduction='none'",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_is_refused(case: str) -> None:
    task, examples, message = UNFIT[case]
    with pytest.raises(ValueError, match=message):
        check(task(), examples())


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        (Classification(network()), torch.arange(N) % 3),
        (Classification(network()), (torch.arange(N) % 3).to(torch.uint8)),
        (Regression(network(outputs=1)), torch.zeros(N)),
        (Regression(network(outputs=1)), torch.zeros(N, 1)),
        (Regression(network(outputs=1)), torch.zeros(N, dtype=torch.int64)),
        (Regression(network()), torch.zeros(N, 3)),
        (CustomTask(network(), lambda output, batch: output.square().sum(1)), torch.zeros(N)),
    ],
)
def test_what_fits_passes(task: AbstractTask, targets: Tensor) -> None:
    check(task, data(targets))
    repeat(task, data(targets))


@pytest.mark.parametrize("name", ["training", "query"])
def test_an_empty_set_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"the {name} set is empty.* Give at least one example"):
        check(Classification(network()), data()[[]], name)


def test_outputs_that_are_not_finite_are_refused() -> None:
    class Broken(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return torch.where(value > 1e9, value, torch.nan)

    with pytest.raises(ValueError, match="NaN or infinite on the query set: is it the right checkpoint"):
        check(Classification(network(Broken())), data(), "query")


def batch_norm() -> nn.Module:
    return nn.BatchNorm1d(4)


NOISY = {
    "dropout": (lambda: nn.Dropout(0.5), r"in train mode.*dropout or other noise.*Call model\.eval\(\)"),
    "batch norm": (batch_norm, r"in train mode.*BatchNorm uses batch statistics\. Call model\.eval\(\)"),
}


@pytest.mark.parametrize("case", NOISY)
def test_train_mode_is_refused_and_eval_mode_passes(case: str) -> None:
    layer, message = NOISY[case]
    model = network(layer()).train()
    with pytest.raises(ValueError, match=message):
        repeat(Classification(model), data())
    repeat(Classification(model.eval()), data())


class Changing(Dataset[Any]):
    """A dataset that adds noise to what it returns: to its inputs or to its targets."""

    def __init__(self, inputs: float, targets: float) -> None:
        self.noise = inputs, targets

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> Any:
        values = torch.full((FEATURES,), float(row)), torch.tensor(float(row))
        return tuple(value + noise * torch.randn(()) for value, noise in zip(values, self.noise, strict=True))


@pytest.mark.parametrize("noise", [(1.0, 0.0), (0.0, 1.0)], ids=["inputs", "targets"])
def test_random_augmentation_is_refused(noise: tuple[float, float]) -> None:
    task = Regression(network(outputs=1))
    with pytest.raises(ValueError, match="give the examples without augmentation"):
        repeat(task, as_examples(Changing(*noise)))
    repeat(task, as_examples(Changing(0.0, 0.0)))


def test_an_objective_is_checked_when_it_is_bound() -> None:
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"a training set of {count} examples: removing one needs at least two"):
            objective_of(Classification(network()), data()[:count])
    with pytest.raises(ValueError, match=r"Call model\.eval\(\)"):
        objective_of(Classification(network(nn.Dropout(0.5)).train()), data())
    with pytest.raises(ValueError, match="renumber the labels"):
        objective_of(Classification(network(outputs=2)), data())
    broken = network()
    with torch.no_grad():
        broken[0].bias[0] = float("nan")
    with pytest.raises(ValueError, match="load an earlier checkpoint"):
        objective_of(Classification(broken), data())
    assert isinstance(objective_of(Classification(network()), data()[:2]), Objective)


def test_a_model_in_train_mode_is_not_touched_by_its_refusal() -> None:
    model = network(batch_norm()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="BatchNorm"):
        objective_of(Classification(model), data())
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_dataset_is_as_good_as_arrays() -> None:
    dataset = as_examples(TensorDataset(data().take(slice(None)).inputs, data().targets()))
    check(Classification(network()), dataset)
    repeat(Classification(network()), dataset)


def test_a_wrong_number_of_features_is_said_with_the_shapes() -> None:
    task = Classification(nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"\(6, 5\) float32.*shape and type that it was trained on"):
        objective_of(task, as_examples((torch.zeros(6, 5), torch.tensor([0, 1, 2, 0, 1, 2]))))

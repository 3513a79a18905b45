"""The tasks: losses, measures, curvature and penalty against slow, obvious counterparts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import hessian

import whence as wh
from whence.batch import Batch
from whence.gradients.functional import loss_of
from whence.task import AbstractTask
from whence.tasks import Classification, CustomTask, Regression

N = 5
CLASSES = Batch(
    torch.randn(N, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 2, 1, 2, 0])
)
THREE = Batch(CLASSES.inputs, torch.randn(N, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
ONE = Batch(CLASSES.inputs, THREE.targets[:, 0])


def linear(outputs: int = 3) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, outputs, dtype=torch.float64)


def huber(output: Tensor, batch: Batch) -> Tensor:
    return F.softplus(output - batch.targets).square().sum(1)


def output_of(task: AbstractTask, batch: Batch) -> Tensor:
    return task.predict(task.parameters(), batch)


def test_losses_equal_those_of_torch() -> None:
    output = linear()(CLASSES.inputs)
    expected = F.cross_entropy(output, CLASSES.targets, reduction="none")
    assert torch.equal(Classification(linear()).loss(output, CLASSES), expected)
    for k, batch in ((3, THREE), (1, ONE)):
        output = linear(k)(batch.inputs)
        targets = batch.targets.reshape(N, k)
        expected = torch.stack([F.mse_loss(output[i], targets[i]) for i in range(N)])
        assert torch.allclose(Regression(linear(k)).loss(output, batch), expected, rtol=1e-14)
    assert torch.equal(CustomTask(linear(), huber).loss(THREE.targets + 1, THREE), huber(THREE.targets + 1, THREE))


def test_small_integer_labels_and_float32_batches_are_cast() -> None:
    batch = Batch(CLASSES.inputs.float(), CLASSES.targets.to(torch.uint8))
    task = Classification(linear())
    output = output_of(task, batch)
    assert output.dtype == torch.float64
    assert torch.allclose(loss_of(task, output, batch), task.loss(output, CLASSES), atol=1e-12)


OUTPUT = torch.tensor([[1.0, 3.0, 0.0], [2.0, 2.0, -1.0]])
LABELS = Batch(torch.zeros(2), torch.tensor([0, 1]))


def test_margin_by_hand() -> None:
    task = Classification(linear(), measure="margin")
    assert task.measure(OUTPUT, LABELS).tolist() == [-2.0, 0.0]
    assert task.quantity == "change in margin"


def test_log_probability_by_hand() -> None:
    task = Classification(linear(), measure="log_probability")
    expected = [1 - np.log(np.exp(1) + np.exp(3) + 1), 2 - np.log(2 * np.exp(2) + np.exp(-1))]
    found = task.measure(OUTPUT, LABELS).tolist()
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_measure_of_regression() -> None:
    task = Regression(linear(1), measure="prediction")
    output = output_of(task, ONE)
    assert torch.equal(task.measure(output, ONE), output[:, 0])
    with pytest.raises(ValueError, match="needs one output, not 3: give a function"):
        Regression(linear(), measure="prediction").measure(output_of(Regression(linear()), THREE), THREE)


def test_the_default_measure_is_the_loss() -> None:
    for task, batch in ((Classification(linear()), CLASSES), (CustomTask(linear(), huber), THREE)):
        output = output_of(task, batch)
        assert torch.equal(task.measure(output, batch), task.loss(output, batch))
        assert task.quantity == "change in loss"


def test_a_measurement_of_ones_own() -> None:
    def first_logit(output: Tensor, batch: Batch) -> Tensor:
        return output[:, 0] - batch.inputs[:, 1]

    task = Classification(linear()).with_measure(first_logit)
    output = output_of(task, CLASSES)
    assert torch.equal(task.measure(output, CLASSES), output[:, 0] - CLASSES.inputs[:, 1])
    assert task.quantity == "change in first_logit"
    for mean in (lambda output, batch: output.mean(), lambda output, batch: output):
        with pytest.raises(ValueError, match="must return one number an example, not a mean"):
            task.with_measure(mean).measure(output, CLASSES)


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of \['loss', 'margin', 'log_probability'\] or a function"):
        Classification(linear(), measure="accuracy")
    with pytest.raises(ValueError, match=r"one of \['loss'\] or a function"):
        CustomTask(linear(), huber).with_measure("margin")
    with pytest.raises(ValueError, match="must be 'mean' or 'sum'"):
        Regression(linear(), objective="average")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module"):
        Regression(lambda x: x)  # type: ignore[arg-type]


TASKS: dict[str, tuple[AbstractTask, Batch]] = {
    "classification": (Classification(linear()), CLASSES),
    "regression with 3 outputs": (Regression(linear()), THREE),
    "regression with 1 output": (Regression(linear(1)), ONE),
    "regression with outputs [batch]": (Regression(nn.Sequential(linear(1), nn.Flatten(0))), ONE),
    "custom": (CustomTask(linear(), huber), THREE),
}


@pytest.mark.parametrize("case", TASKS)
def test_curvature_root_squares_to_the_hessian_in_the_output(case: str) -> None:
    task, batch = TASKS[case]
    output = output_of(task, batch).detach()
    root = task.curvature_root(output, batch)
    size = output[0].numel()
    assert root.shape[:2] == (N, size)
    for i in range(N):
        row = Batch(batch.inputs[i : i + 1], batch.targets[i : i + 1])
        expected = hessian(lambda value, row=row: task.loss(value[None], row)[0])(output[i]).reshape(size, size)
        assert expected.abs().max() > 1e-3
        assert torch.allclose(root[i] @ root[i].T, expected, atol=1e-12)


def test_weight_decay_as_a_number_covers_weights_and_not_biases() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Linear(2, 1))
    task = Regression(model, weight_decay=0.1)
    covered = {name: task.coefficients[part].tolist() for name, part in task.layout.slices.items()}
    assert covered == {
        "0.weight": [0.1] * 6,
        "0.bias": [0.0] * 2,
        "1.weight": [0.0] * 2,
        "1.bias": [0.0] * 2,
        "2.weight": [0.1] * 2,
        "2.bias": [0.0],
    }
    assert task.describe()["penalised"] == 8
    assert task.describe()["weight_decay"] == [0.1]
    assert task.decay(torch.zeros(1)).dtype == torch.float32


def test_a_number_that_would_cover_nothing_is_refused() -> None:
    scale = nn.Module()
    scale.weight = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="name those that it covers"):
        Regression(scale, weight_decay=0.1)
    assert Regression(scale, weight_decay={"weight": 0.1}).coefficients.tolist() == [0.1] * 3
    assert Regression(linear(), weight_decay=0.1, only=["bias"]).coefficients.tolist() == [0.0] * 3


def test_weight_decay_as_a_dict_covers_what_it_names() -> None:
    task = Regression(linear(1), weight_decay={"bias": 0.5})
    assert task.coefficients.tolist() == [0.0] * 4 + [0.5]
    with pytest.raises(ValueError, match=r"\['wieght'\].*name some of \('weight', 'bias'\)"):
        Regression(linear(1), weight_decay={"wieght": 0.5})


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_weight_decay_from_the_groups_of_an_optimizer(kind: Any) -> None:
    model = linear(1)
    groups = [{"params": [model.bias], "weight_decay": 0.2}, {"params": [model.weight], "weight_decay": 0.3}]
    assert Regression(model, weight_decay=kind(groups, lr=0.1)).coefficients.tolist() == [0.3] * 4 + [0.2]
    same = kind(model.parameters(), lr=0.1, weight_decay=0.4)
    assert Regression(model, weight_decay=same).coefficients.tolist() == [0.4] * 5
    assert Regression(model, weight_decay=same, only=["bias"]).coefficients.tolist() == [0.4]


def test_an_optimizer_whose_decay_is_no_penalty_is_refused() -> None:
    model = linear()
    for optimizer in (
        torch.optim.AdamW(model.parameters(), weight_decay=0.1),
        torch.optim.Adam(model.parameters(), weight_decay=0.1, decoupled_weight_decay=True),
        torch.optim.Adafactor(model.parameters(), weight_decay=0.1),
    ):
        with pytest.raises(ValueError, match=f"{type(optimizer).__name__} decays.*: pass weight_decay=0"):
            Regression(model, weight_decay=optimizer)
    without = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    assert not Regression(model, weight_decay=without).coefficients.any()


def test_an_optimizer_of_another_module_is_refused() -> None:
    model = linear()
    with pytest.raises(ValueError, match="does not hold bias: give the optimizer that trained this module"):
        Regression(model, weight_decay=torch.optim.SGD([model.weight], lr=0.1))
    with pytest.raises(ValueError, match="does not hold weight: give the optimizer"):
        Regression(model, weight_decay=torch.optim.SGD(linear().parameters(), lr=0.1))


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_penalty_that_is_no_penalty_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="for weight: give a finite number of at least 0"):
        Regression(linear(), weight_decay=value)
    with pytest.raises(ValueError, match="for bias: give a finite number of at least 0"):
        Regression(linear(), weight_decay={"bias": value})


class Keyed(nn.Module):
    """Takes columns by name and returns an object with logits, as Hugging Face models do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = linear()

    def forward(self, *, mask: Tensor, features: Tensor) -> Any:
        return SimpleNamespace(logits=self.linear(features * mask), loss=None)


def test_dicts_become_keywords_and_logits_are_found() -> None:
    task = Classification(Keyed())
    mask = torch.tensor([1, 0, 1, 1])
    batch = Batch({"features": CLASSES.inputs, "mask": mask.expand(N, 4)}, CLASSES.targets)
    assert torch.equal(output_of(task, batch), linear()(CLASSES.inputs * mask))


def test_tuples_become_positions() -> None:
    task = Regression(nn.Bilinear(4, 4, 1, dtype=torch.float64))
    batch = Batch((CLASSES.inputs, CLASSES.inputs + 1), ONE.targets)
    assert torch.equal(output_of(task, batch), task.module(CLASSES.inputs, CLASSES.inputs + 1))


def test_an_output_that_is_no_tensor_is_refused() -> None:
    class Pair(nn.Linear):
        def forward(self, input: Tensor) -> Any:
            return super().forward(input), None

    with pytest.raises(TypeError, match=r"returned tuple.*wrap it in a module that returns the output tensor"):
        output_of(Classification(Pair(4, 3, dtype=torch.float64)), CLASSES)


def test_predict_reads_the_vector_and_not_the_module() -> None:
    task = Regression(linear(1), only=["weight"])
    moved = output_of(task, ONE) + 2 * CLASSES.inputs.sum(1, keepdim=True)
    assert torch.allclose(task.predict(task.parameters() + 2, ONE), moved)
    assert torch.equal(task.parameters(), linear(1).weight[0])


def test_frozen_is_safe_from_later_training() -> None:
    model = nn.Sequential(linear(), nn.BatchNorm1d(3, dtype=torch.float64)).eval()
    task = Classification(model, weight_decay=0.1)
    frozen = task.frozen()
    before = output_of(frozen, CLASSES)
    with torch.no_grad():
        for tensor in (*model.parameters(), model[1].running_mean):
            tensor.add_(1)
    assert torch.equal(output_of(frozen, CLASSES), before)
    assert not torch.allclose(output_of(task, CLASSES), before)
    assert torch.equal(frozen.coefficients, task.coefficients)
    single = task.frozen(torch.float32)
    assert single.parameters().dtype == torch.float32
    assert task.parameters().dtype == torch.float64
    assert torch.allclose(output_of(single, CLASSES).double(), output_of(task, CLASSES), atol=1e-5)


def test_predictions_are_what_a_person_reads() -> None:
    output = torch.tensor([[0.0, 2.0], [3.0, 1.0]], requires_grad=True)
    assert Classification(linear()).prediction(output).tolist() == [1, 0]
    assert Regression(linear()).prediction(output[:, :1]).tolist() == [0.0, 3.0]
    assert CustomTask(linear(), huber).prediction(output).tolist() == [1, 0]
    assert CustomTask(linear(), huber).prediction(output[:, 1]).tolist() == [2.0, 1.0]


def test_a_custom_loss_that_is_a_mean_is_refused() -> None:
    task = CustomTask(linear(), lambda output, batch: huber(output, batch).mean())
    with pytest.raises(ValueError, match="reduction='none'"):
        task.check(output_of(task, THREE), THREE)
    CustomTask(linear(), huber).check(output_of(task, THREE), THREE)


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
def test_parameters_that_are_not_studied_leave_no_graph(curvature: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3)).double().eval()
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.arange(20) % 3
    task = wh.Classification(net, weight_decay=0.1, only=["0"])
    scores = wh.InfluenceFunction(wh.Dense(), 5.0, curvature).fit(task, (x, y)).attribute((x[:2], y[:2]))
    assert bool(np.isfinite(scores).all())
    assert all(parameter.requires_grad for parameter in net.parameters())

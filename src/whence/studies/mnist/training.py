"""Stage ``training``: the network as built against Tables 4.1 and 4.2, what training reached; Fig. 4.2 and 5.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from whence.display import shown
from whence.embedding.activations import activations
from whence.gradients import functional
from whence.plots import picture_grid, training_curves
from whence.plots.pictures import Panel
from whence.studies.mnist.model import MnistModel, along_the_way
from whence.studies.mnist.plan import DAMPING, WEIGHT_DECAY
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.mnist.thesis import HYPERPARAMETERS, LAYERS
from whence.studies.section import Section

METHOD, RESULTS = "4 Method", "5 Results"


def work(context: Context) -> Outcome:
    model = context.model
    reached = _reached(model)
    sections = [
        _digits(context),
        _layers(model),
        _hyperparameters(model),
        _subjects(context),
        _curve(context, reached),
    ]
    return Outcome(sections, {"training": reached})


def _reached(model: MnistModel) -> dict[str, Any]:
    objective = model.objective
    point = functional.evaluate_objective(objective, objective.theta)
    loss = float(functional.evaluate(objective.task, objective.theta, model.train).mean())
    return {
        "images": len(model.train),
        "steps": model.plan.recipe.steps,
        "test_accuracy": model.accuracy,
        "objective": point.value,
        "mean_loss": loss,
        "gradient_norm": float(point.gradient.norm()),
        "parameters": len(objective.theta),
    }


def _digits(context: Context) -> Section:
    train = context.model.train
    labels = train.targets().numpy()
    first = [train.ids[np.flatnonzero(labels == c)[0]] for c in np.unique(labels)]
    pictures = [(shown(train, i).value, str(int(c))) for c, i in zip(np.unique(labels), first, strict=True)]
    counts = ", ".join(f"{int(c)}: {int((labels == c).sum())}" for c in np.unique(labels))
    return Section(
        "Figure 4.2",
        "One example of each class",
        (f"{len(train)} training images; of each class: {counts}.",),
        figures=(context.figure("digits", picture_grid([Panel("", pictures)])),),
        chapter=METHOD,
    )


def _layers(model: MnistModel) -> Section:
    """Table 4.1, from a pass of three images through the network."""
    found = activations(model.module, list(LAYERS), model.train[np.arange(3)])
    rows = []
    for name, printed in LAYERS.items():
        width = found[name].shape[1]
        rows.append(
            {"layer": name, "thesis": _shape(printed), "numbers an image": width, "same": width == np.prod(printed)}
        )
    table = pd.DataFrame(rows)
    size = model.task.layout.size
    words = (
        f"{int(table['same'].sum())} of {len(table)} layers have the thesis' size; {size:,} parameters, theirs 2,616."
    )
    return Section("Table 4.1", "Embedding dimensions", (words,), {"layers": table}, chapter=METHOD)


def _shape(printed: tuple[int, ...]) -> str:
    return f"[n, {', '.join(map(str, printed))}]"


def _hyperparameters(model: MnistModel) -> Section:
    recipe, image = model.plan.recipe, model.train.take(slice(0, 1)).inputs
    if not isinstance(image, torch.Tensor):
        raise TypeError("the study's inputs are images")
    weights = {
        name: tuple(shape) for name, shape in zip(model.task.layout.names, model.task.layout.shapes, strict=True)
    }
    ours: dict[str, float] = {
        "initial learning rate": recipe.learning_rate,
        "L2 weight decay": WEIGHT_DECAY,
        "damping": DAMPING,
        "input side length": image.shape[-1],
        "input channels": image.shape[1],
        "input dimensions": image[0].numel(),
        "layer 1 hidden units": weights["h1_a.conv.weight"][0],
        "layer 2 hidden units": weights["h2_a.conv.weight"][0],
        "layer 3 hidden units": weights["h3_a.conv.weight"][0],
        "convolution patch size": weights["h1_a.conv.weight"][-1],
    }
    rows = [{"parameter": name, "ours": ours[name], "thesis": value} for name, value in HYPERPARAMETERS.items()]
    different = [name for name, value in HYPERPARAMETERS.items() if not np.isclose(ours[name], value)]
    decays = f"Adam, batches of {recipe.batch_size}, {recipe.steps:,} steps, schedule {recipe.schedule}"
    words = f"Different here: {', '.join(different) or 'nothing'}. Recipe: {decays}{_drops(recipe.drops)}."
    return Section("Table 4.2", "Hyperparameters", (words,), {"hyperparameters": pd.DataFrame(rows)}, chapter=METHOD)


def _drops(drops: tuple[tuple[int, float], ...]) -> str:
    return "".join(f", × {factor:g} from step {step:,}" for step, factor in drops)


def _subjects(context: Context) -> Section:
    model, panels, sentences = context.model, [], []
    objective = model.objective
    output = functional.outputs(objective.task, objective.theta, model.asked)
    probabilities = torch.softmax(output.double(), 1)
    for subject, label, row in zip(model.subjects, model.asked.targets().tolist(), probabilities, strict=True):
        said = int(row.argmax())
        panels.append(Panel(subject.name, [(shown(model.test, subject.id).value, f"test image {subject.id}")]))
        sentences.append(
            f"Test image {subject.id}, {subject.name}: label {label}, predicted {said} with probability "
            f"{float(row[said]):.3f} ({float(row[label]):.3f} for its label)."
        )
    return Section(
        "Figure 5.1",
        "The test images that are asked about",
        tuple(sentences),
        figures=(context.figure("subjects", picture_grid(panels)),),
        source="A 6 that is taken for a 2 (test image 6558 of Koh and Liang) and a correctly classified 6.",
        chapter=RESULTS,
    )


def _curve(context: Context, reached: dict[str, Any]) -> Section:
    """The objective at the checkpoints along the way, in full passes."""
    curve = along_the_way(context.model.objective, context.run.shelf("training"))
    figure = training_curves({"objective": curve}, axis_labels=("step", "objective"))
    words = (
        f"After {reached['steps']:,} steps: test accuracy {reached['test_accuracy']:.2%}, objective "
        f"{reached['objective']:.4f} (mean loss {reached['mean_loss']:.4f}), gradient norm "
        f"{reached['gradient_norm']:.2g}."
    )
    return Section(
        "",
        "What training reached",
        (words,),
        figures=(context.figure("training", figure),),
        source="Koh and Liang: training loss 0.14 after 500,000 steps, 0.12 after as many full passes more.",
        chapter="6 Beyond the thesis",
    )

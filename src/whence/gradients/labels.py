"""What a model says of examples, as the labels that results carry."""

from __future__ import annotations

import numpy as np
import torch

from whence import results
from whence.examples import Examples
from whence.gradients import functional
from whence.objective import Objective


def labels_of(objective: Objective, examples: Examples) -> results.Labels:
    """Ids, labels, predictions and losses of examples."""
    labels, predictions, losses = [], [], []
    with torch.no_grad():
        for _, batch in examples.batches(1024):
            output = objective.task.predict(objective.theta, batch)
            labels.append(batch.targets.reshape(len(batch), -1)[:, 0].cpu().numpy())
            predictions.append(objective.task.prediction(output))
            losses.append(functional.loss_of(objective.task, output, batch).double().cpu().numpy())
    return results.Labels(examples.ids, np.concatenate(labels), np.concatenate(predictions), np.concatenate(losses))

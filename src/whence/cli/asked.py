"""Which queries are asked about: those that the model gets wrong, or those with given ids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from whence import checks
from whence.cli.errors import CommandError
from whence.examples import Examples
from whence.task import AbstractTask

WRONG = "wrong"


def select(task: AbstractTask, queries: Examples, words: str) -> Examples:
    """The queries that ``words`` name: ``wrong``, or ids with commas between them.

    Raises CommandError if none is wrong or the model has no classes, KeyError for an id that is not there.
    """
    if words == WRONG:
        found = queries[_mistakes(task, queries)]
        if len(found) == 0:
            raise CommandError(f"the model gets all {len(queries)} queries right; name some by --queries ID,ID")
        return found
    return queries.select(_ids(queries, [word.strip() for word in words.split(",") if word.strip()]))


def _mistakes(task: AbstractTask, queries: Examples) -> npt.NDArray[np.bool_]:
    theta = task.parameters()
    checks.check_data(task, theta, queries, "query")
    if queries.targets().is_floating_point():
        raise CommandError("only a classification can be wrong; name the queries by --queries ID,ID")
    wrong = []
    with torch.no_grad():
        for _, batch in queries.batches(1024):
            said = task.prediction(task.predict(theta, batch))
            wrong.append(said != batch.targets.reshape(len(batch), -1)[:, 0].cpu().numpy())
    return np.concatenate(wrong)


def _ids(queries: Examples, words: list[str]) -> list[str] | list[int]:
    if not words:
        raise CommandError("no query is named; write --queries wrong, or ids as in --queries 3,17")
    if not np.issubdtype(queries.ids.dtype, np.integer):
        return words
    try:
        return [int(word) for word in words]
    except ValueError as error:
        first = queries.ids[:3].tolist()
        raise CommandError(f"the queries' ids are whole numbers such as {first}, not {words[:5]}; use those") from error

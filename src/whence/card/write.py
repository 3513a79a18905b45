"""A card from a model: what is asked in which order, and kept in which run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from whence.attribution.saved import plain
from whence.card import flipped, truths
from whence.card.lines import Lines
from whence.card.lineup import Subject, damping_of, lineup
from whence.card.plan import Plan
from whence.card.scored import score_all, suspect
from whence.evaluation.mislabels import has_cleanlab
from whence.examples import Examples
from whence.execution.store import RunFolder
from whence.mapping import AbstractMapper
from whence.parameters import checkpoint_hash
from whence.retraining.refit import AbstractRefit
from whence.studies.study import Report
from whence.task import AbstractTask


@dataclass(frozen=True)
class Model:
    """What is judged: a trained task with its data, queries to ask about, the refit that counts as the truth, and ids
    whose labels are known to be wrong, if any.
    """

    task: AbstractTask
    train: Examples
    queries: Examples
    refit: AbstractRefit
    wrong: Collection[Any] = field(default=())

    @property
    def config(self) -> dict[str, Any]:
        """What a card is of: another model, other data or another refit is another card."""
        ids = {name: _mark(part) for name, part in (("train", self.train), ("queries", self.queries))}
        wrong = sorted(map(str, self.wrong))
        return {"model": checkpoint_hash(self.task.module), **ids, "refit": plain(self.refit), "wrong": wrong}


def write_card(
    run: RunFolder,
    model: Model,
    plan: Plan,
    mapper: AbstractMapper,
    say: Callable[[str], None],
    names: Sequence[str] = (),
) -> Report:
    """Judge the methods (all that a card knows, or those of ``names``) and save the report; a killed run goes on."""
    subject = Subject(model.task.layout.size, len(model.train), damping_of(model.refit))
    methods, left_out = lineup(subject, names)
    asked = _asked(model.queries, plan)
    made = score_all(run, methods, (model.task, model.train, asked), plan, say)
    if not made.scores:
        reasons = "; ".join(f"{name}: {why}" for name, why in {**left_out, **made.failed}.items())
        raise ValueError(f"no method could score this model ({reasons})")
    bench = truths.Bench(run, model.task, model.train, asked, model.refit, mapper, say)
    lines = Lines(run, Report("card"), plan, made)
    lines.refits(truths.single(bench, made.scores, plan))
    lines.subsets(truths.subsets(bench, plan))
    lines.removals(*truths.removals(bench, made.scores, plan))
    lines.sanity()
    wrong = flipped.wrong_labels(run, model.task, model.train, model.wrong, plan, has_cleanlab(), say)
    if isinstance(wrong, str):
        lines.report.sentences.append(f"Wrong labels: not judged; {wrong}.")
    else:
        given = (wrong.task, wrong.examples)
        lines.labels(wrong, {name: suspect(run, name, methods[name], given, say) for name in made.scores})
    lines.costs()
    report = lines.finish(_first(model), left_out | made.failed)
    report.save(run)
    say("done")
    return report


def _first(model: Model) -> str:
    refit, task = model.refit, model.task
    strength = f" at damping {refit.damping:g}" if refit.damping else ""
    return (
        f"{task.name}, {task.layout.size:,} parameters, {len(model.train):,} training examples. The truth: "
        f"{refit.kind} refits{strength}; methods have the same damping."
    )


def _mark(examples: Examples) -> str:
    """A hash of ids and targets."""
    digest = hashlib.sha256(repr(examples.ids.tolist()).encode())
    digest.update(examples.targets().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"{len(examples)} examples {digest.hexdigest()[:16]}"


def _asked(queries: Examples, plan: Plan) -> Examples:
    """So many queries as the plan has, drawn by its seed, in the run's order."""
    if len(queries) <= plan.queries:
        return queries
    return queries[np.sort(np.random.default_rng(plan.seed).choice(len(queries), plan.queries, replace=False))]

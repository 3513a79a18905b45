"""The MNIST study: the table of its stages, and the report that sets ours beside the thesis in the thesis' order."""

from __future__ import annotations

import importlib
import re
from typing import Any

from whence.execution import RunError, RunFolder
from whence.retraining.pieces import checkpoints
from whence.studies.mnist import model as models
from whence.studies.mnist import refits
from whence.studies.mnist.plan import config_of, plan_of
from whence.studies.mnist.stage import Context, Outcome, Stage, carry_out, finished
from whence.studies.reopened import Reopened
from whence.studies.section import Section
from whence.studies.study import Progress, Report, Settings, Study

STAGES = (
    "convex",
    "training",
    "influence",
    "truth",
    "metrics",
    "outliers",
    "predictor",
    "maps",
    "convergence",
    "hundred",
    "converged",
    "exhibit",
)
"""In the order in which they run; each reads what earlier ones left in the run folder, or makes it."""
ONLY = {"converged": ("full",)}
"""Stages that not every effort asks for."""


def run(run: RunFolder, settings: Settings) -> Report:
    """Run the stages that are not done at this effort (or the one asked for, again), and put the report together."""
    context = Context(run, settings, Progress("mnist"))
    outcomes: dict[str, tuple[Outcome, float]] = {}
    for name in STAGES:
        kept = finished(run, name, settings)
        if settings.stage == name or (settings.stage is None and kept is None and _wanted(name, settings)):
            context.progress.say(f"stage {name}")
            kept = carry_out(_stage(name), context)
        if kept is not None:
            outcomes[name] = kept
    context.progress.say("done")
    return _report(outcomes, settings)


def reopen(run: RunFolder, settings: Settings) -> Reopened:
    """The trained network of a run; raises RunError if it is not kept yet, DataError without MNIST's files."""
    plan, progress = plan_of(settings), Progress("mnist")
    if plan.recipe.steps not in checkpoints(run.shelf("training")):
        raise RunError(f"{run.folder} holds no trained network yet; give the study's command again, then refit")
    model = models.prepare(run, settings, progress)
    refit = refits.proximal_refit(run, model, progress)
    return Reopened(model.task, model.train, model.queries, refit)


def _wanted(name: str, settings: Settings) -> bool:
    return settings.size == "tiny" or settings.effort in ONLY.get(name, (settings.effort,))


def _stage(name: str) -> Stage:
    return Stage(name, importlib.import_module(f"whence.studies.mnist.{name}").work)


def _report(outcomes: dict[str, tuple[Outcome, float]], settings: Settings) -> Report:
    report = Report("mnist")
    sections = [section for outcome, _ in outcomes.values() for section in outcome.sections]
    report.sections = sorted(sections, key=_place)
    for outcome, _ in outcomes.values():
        report.facts |= outcome.facts
    seconds = {name: round(spent, 1) for name, (_, spent) in outcomes.items()}
    report.facts |= {"effort": settings.effort, "seconds": seconds, "seconds_in_all": sum(seconds.values())}
    for section in report.sections:
        if section.number == "Table 5.1":
            report.tables |= section.tables
            report.sentences += section.sentences
    missing = [name for name in STAGES if name not in outcomes and _wanted(name, settings)]
    if missing:
        report.sentences.append(f"Not run yet: {', '.join(missing)}.")
    return report


def _place(section: Section) -> tuple[str, Any]:
    """By chapter; within it the figures and tables in the thesis' order, then what has no number."""
    if not section.number:
        return section.chapter, (1, 0.0, "")
    kind, number = section.number.split()
    _, minor = re.findall(r"\d+", number)
    # in the thesis Table 5.1 stands after Figure 5.17, the tables of chapter 4 after its figures
    after = 17.5 if section.number == "Table 5.1" else float(minor) + (10 if kind == "Table" else 0)
    return section.chapter, (0, after, kind)


STUDY = Study(
    "mnist",
    "the thesis on real MNIST: every experiment, table and figure, ours beside its numbers",
    run,
    stages=STAGES,
    efforts=("quick", "full", "faithful"),
    config=config_of,
    reopen=reopen,
)

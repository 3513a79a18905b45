"""Run folders for the page, made by the library itself: pictures, texts, plain features, and a regression."""

from __future__ import annotations

from pathlib import Path

import page_programs

import whence as wh
from whence.cli.app import main
from whence.evaluation import choose_removals
from whence.execution import RunFolder
from whence.exhibit import Choices, exhibit
from whence.retraining import Proximal, leave_out

DAMPING = 0.02
MOST, RANDOM = 3, 15
LAYERS = ("input", "2")
"""The pixels, and the hidden layer after its tanh."""


def attributed(name: str, out: Path) -> Path:
    """A run by `whence attribute` on a program of this folder, for all its queries."""
    _, _, queries = getattr(page_programs, name)()
    ids = ",".join(map(str, queries.ids.tolist()))
    words = ["attribute", f"page_programs:{name}", "--method", "influence", "--solver", "dense"]
    code = main([*words, "--damping", str(DAMPING), "--queries", ids, "--out", str(out), "--format", "json"])
    if code != 0:
        raise RuntimeError(f"whence attribute on {name} ended with code {code}")
    return out


def pictures(out: Path) -> Path:
    """A run that can do everything: several methods, refits that they agree with, maps of two layers, a model."""
    attributed("pictures", out)
    task, train, queries = page_programs.pictures()
    kept = RunFolder.read(out)
    corrected = wh.ApproximateLeaveOneOut(wh.Dense(), DAMPING).fit(task, train)
    others = {"gradient-dot": wh.GradientDot(), "loss": wh.Loss()}
    others |= {f"cosine-{layer}": wh.Similarity(layer) for layer in LAYERS}
    with RunFolder.open(out, kept.config, kept.about["kind"]) as run:
        run.save("leverage-corrected", corrected.attribute(queries))
        for name, method in others.items():
            run.save(name, method.fit(task, train).attribute(queries))
        chosen = choose_removals(run.load("scores"), MOST, RANDOM)
        truth = leave_out(task, train, queries, chosen["removed"].values, Proximal(DAMPING))
        run.save("truth-proximal", truth.assign(chosen=chosen))
        choices = Choices("Handwritten digits", LAYERS, corrected.self_influence, "program", DAMPING)
        exhibit(run, task, train, queries, choices)
    return out


def line(out: Path) -> Path:
    """The study of a regression line: features without classes, and every example refitted without."""
    if main(["study", "run", "line", "--size", "tiny", "--out", str(out), "--format", "json"]) != 0:
        raise RuntimeError("the study of a line failed")
    return out

"""Stage ``convex``: the studies of a line and of two clusters, for Fig. 3.1, 4.1 and 5.2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whence.execution import RunFolder
from whence.studies import catalogue
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section
from whence.studies.study import Report, Settings

CHAPTERS = {"line": "3 The study of influence", "clusters": "4 Method"}


def work(context: Context) -> Outcome:
    """Both studies in folders of their own inside the run, with the size and seed of this one."""
    line, clusters = (_report(context, name) for name in ("line", "clusters"))
    points = next(path for path in clusters.figures if "points" in path)
    pictures = tuple(path for path in clusters.figures if path != points)
    sections = [
        Section(
            "Figure 3.1",
            "An outlier, a leverage point and an influential point on a regression line",
            tuple(line.sentences),
            line.tables,
            tuple(line.figures),
            "Four least-squares lines: the yellow points with A, B or C, or none of them.",
            CHAPTERS["line"],
        ),
        Section(
            "Figure 4.1",
            "Two clusters and an extreme outlier",
            (),
            {},
            (points,),
            "Two distinct clusters of two classes and an extreme outlier.",
            CHAPTERS["clusters"],
        ),
        Section(
            "Figure 5.2",
            "Predicted against actual influence of every point, logistic regression",
            tuple(clusters.sentences),
            clusters.tables,
            pictures,
            "Predicted influence is highly correlated with the actual one; one apparent outlier in terms of influence.",
            "5 Results",
        ),
    ]
    return Outcome(sections, {})


def _report(context: Context, name: str) -> Report:
    settings = Settings(context.settings.size, context.settings.seed)
    folder = Path(context.run.folder) / f"study-{name}"
    config: dict[str, Any] = {"study": name, **settings.config}
    with RunFolder.open(folder, config, kind="study") as inner:
        report = catalogue.find(name).run(inner, settings)
        report.save(inner)
    report.figures = [str(Path(folder.name) / path) for path in report.figures]
    return report

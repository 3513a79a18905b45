"""What a study is: settings, a run folder to write to, and a report of tables, sentences and figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pandas as pd

from whence import files, tables
from whence.execution.store import RunFolder
from whence.studies.section import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from whence.studies.reopened import Reopened

Size: TypeAlias = Literal["tiny", "standard", "full"]
Effort: TypeAlias = Literal["quick", "full", "faithful"]


@dataclass(frozen=True)
class Settings:
    """What a user chooses: ``size``, ``seed`` and, without changing any result, the number of processes.

    For studies that have them: ``effort``, how much is retrained; ``stage``, the one to run; ``data``, where files lie.
    """

    size: Size = "standard"
    seed: int = 0
    jobs: int = 1
    effort: Effort = "quick"
    stage: str | None = None
    data: Path | None = None

    @property
    def config(self) -> dict[str, Any]:
        """What a run is the result of; ``jobs`` is not among it."""
        return {"size": self.size, "seed": self.seed}


@dataclass
class Report:
    """What a run found, in the order in which it is shown: tables, sentences, and figures (paths in the run folder).

    ``appendix``: long tables that are written as CSV and not shown. ``sections``: numbered figures and tables, in the
    order of what they are compared with; they may show again what the report holds.
    """

    study: str
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    appendix: dict[str, pd.DataFrame] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def add_figure(self, run: RunFolder, name: str, figure: Figure) -> str:
        """Save a figure as PNG and SVG under ``figures/`` of the run and list it; returns its path, for a section."""
        self.figures.append(keep_figure(run, name, figure))
        return self.figures[-1]

    def save(self, run: RunFolder) -> None:
        """Write ``report.json``, and each table as CSV under ``tables/``."""
        folder = Path(run.folder)
        for title, table in {**self._in_sections, **self.tables, **self.appendix}.items():
            files.write_text(folder / "tables" / f"{_slug(title)}.csv", tables.csv_text(table))
        files.write_json(folder / "report.json", self.record)

    @property
    def _in_sections(self) -> dict[str, pd.DataFrame]:
        """Tables that only a section holds, under its number too: two sections may use one title."""
        found = [(part.number, title, table) for part in self.sections for title, table in part.tables.items()]
        return {f"{number} {title}": table for number, title, table in found if self.tables.get(title) is not table}

    @property
    def record(self) -> dict[str, Any]:
        """The report as JSON can hold it; ``sections`` is left out where there is none."""
        rows = {title: tables.records(table) for title, table in self.tables.items()}
        words = {"study": self.study, "tables": rows, "sentences": self.sentences, "figures": self.figures}
        sections = {"sections": [part.record for part in self.sections]} if self.sections else {}
        return {**words, "facts": self.facts, **sections}

    @classmethod
    def load(cls, folder: Path) -> Report:
        """Read the report of a run folder; raises FileError if it is missing or broken."""
        record = files.read_json(folder / "report.json")
        try:
            found = {str(title): pd.DataFrame(rows) for title, rows in record["tables"].items()}
            study, facts = str(record["study"]), dict(record["facts"])
            words, figures = [*map(str, record["sentences"])], [*map(str, record["figures"])]
            sections = [Section.from_record(part) for part in record.get("sections", [])]
            return cls(study, found, words, figures, facts, sections=sections)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise files.FileError(f"{folder / 'report.json'} is no report; run the same command again") from error


@dataclass(frozen=True)
class Study:
    """One row of the catalogue.

    ``stages``: those that can be run alone; ``efforts``: the ones it knows; ``config``: what its run is the result of;
    ``reopen``: the trained model of a finished run, to be refitted without some examples.
    """

    name: str
    summary: str
    run: Callable[[RunFolder, Settings], Report]
    stages: tuple[str, ...] = ()
    efforts: tuple[Effort, ...] = ("quick",)
    config: Callable[[Settings], dict[str, Any]] = lambda settings: settings.config
    reopen: Callable[[RunFolder, Settings], Reopened] | None = None


@dataclass
class Progress:
    """Says on stderr what is being done and how long the last step took."""

    study: str
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        print(f"[{self.study} {time.monotonic() - self.started:6.1f} s] {text}", file=sys.stderr, flush=True)


def keep_figure(run: RunFolder, name: str, figure: Figure) -> str:
    """Save a figure as PNG and SVG under ``figures/`` of the run; its path in the run folder."""
    from whence.plots.saving import save_figure

    return save_figure(figure, Path(run.folder) / "figures", name).relative_to(run.folder).as_posix()


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())

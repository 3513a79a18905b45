"""A stage of the study: its sections and facts, kept in the run folder with the seconds that they took."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence import files
from whence.execution import RunFolder
from whence.studies.mnist import model as models
from whence.studies.mnist.model import MnistModel
from whence.studies.section import Section
from whence.studies.study import Progress, Settings, keep_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "stages"


@dataclass
class Context:
    """What stages share: the run folder, the settings, the model (trained when first asked for)."""

    run: RunFolder
    settings: Settings
    progress: Progress
    _model: MnistModel | None = None

    @property
    def model(self) -> MnistModel:
        if self._model is None:
            self._model = models.prepare(self.run, self.settings, self.progress)
        return self._model

    def figure(self, name: str, figure: Figure) -> str:
        """Save a figure as PNG and SVG; its path in the run folder."""
        return keep_figure(self.run, name, figure)


@dataclass(frozen=True)
class Outcome:
    """What a stage found: sections in any order, facts by name."""

    sections: list[Section] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One row of the study's table. ``work`` reads from the run folder what earlier stages left, or makes it."""

    name: str
    work: Callable[[Context], Outcome]


def finished(run: RunFolder, name: str, settings: Settings) -> tuple[Outcome, float] | None:
    """What the stage left behind and its seconds, if it is done at this effort."""
    path = _path(run, name)
    if not path.exists():
        return None
    record = files.read_json(path)
    if record["effort"] != settings.effort:
        return None
    sections = [Section.from_record(part) for part in record["sections"]]
    return Outcome(sections, dict(record["facts"])), float(record["seconds"])


def carry_out(stage: Stage, context: Context) -> tuple[Outcome, float]:
    """Run the stage and keep its outcome. Seconds of a killed start are not in the sum; its finished pieces are."""
    began = time.monotonic()
    outcome = stage.work(context)
    facts = plain(outcome.facts) | {f"peak_gigabytes_{stage.name}": peaks()}
    seconds = time.monotonic() - began
    record = {
        "sections": [section.record for section in outcome.sections],
        "facts": facts,
        "seconds": seconds,
        "effort": context.settings.effort,
    }
    _path(context.run, stage.name).parent.mkdir(exist_ok=True)
    files.write_json(_path(context.run, stage.name), record)
    return Outcome(outcome.sections, facts), seconds


def peaks() -> dict[str, float]:
    """The largest memory that this process, and any one of its workers that has ended, has held so far, in GB."""
    try:
        import resource
    except ImportError:  # Windows has none
        return {}
    unit = 1e9 if sys.platform == "darwin" else 1e6  # of ru_maxrss: bytes there, kilobytes elsewhere
    who = {"process": resource.RUSAGE_SELF, "largest worker": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(which).ru_maxrss / unit, 2) for name, which in who.items()}


def plain(value: Any) -> Any:
    """A fact as JSON can hold it: what is no finite number becomes null."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _path(run: RunFolder, name: str) -> Path:
    return Path(run.folder) / FOLDER / f"{name}.json"

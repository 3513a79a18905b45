"""A command line in this process, a user's program in the current directory, and a study that takes no time."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from whence.cli.app import main
from whence.execution import RunFolder
from whence.studies import catalogue
from whence.studies.study import Report, Settings, Study

NUMBER = itertools.count()
PROGRAM = """
    import torch
    import whence as wh
    from torch import nn

    def trained():
        torch.manual_seed(0)
        x = torch.randn(40, 3, dtype=torch.float64)
        y = (x[:, 0] + 0.5 * torch.randn(40) > 0).long()
        net = nn.Linear(3, 2).double()
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=100, line_search_fn="strong_wolfe")
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y) + 0.005 * net.weight.square().sum()
            loss.backward()
            return loss
        optimizer.step(closure)
        return net, x, y

    def task():
        net, x, y = trained()
        names = [f"t{i}" for i in range(40)]
        queries = wh.as_examples((x[:20], y[:20]), ids=[f"q{i}" for i in range(20)])
        return wh.Classification(net, weight_decay=0.01), wh.as_examples((x, y), ids=names), queries

    def module():
        print("hello from the program")
        net, x, y = trained()
        return net, (x, y), (x[:20], y[:20])
"""


@dataclass(frozen=True)
class Answer:
    """What a command line gave."""

    code: int
    out: str
    err: str


@pytest.fixture
def whence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    monkeypatch.delenv("WHENCE_DEBUG", raising=False)

    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a module into the current directory and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text: str = PROGRAM) -> str:
        name = f"program_{next(NUMBER)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    return write


def fake(run: RunFolder, settings: Settings) -> Report:
    print("what a study prints is no result")
    shelf = run.shelf("pieces")
    for number in range(3):
        if str(number) not in shelf.done():
            shelf.put(str(number), {"value": np.array(number + settings.seed)})
    values = [int(shelf.get(str(number))["value"]) for number in range(3)]
    found = Report("fake", facts={"size": settings.size, "jobs": settings.jobs})
    found.tables["values"] = pd.DataFrame({"name": ["=a", "b", "c"], "value": values, "r": [0.123456, np.nan, 1.0]})
    found.tables["none"] = pd.DataFrame({"name": []})
    found.sentences.append("The sum is \x1b[31mred\x1b[0m.")
    found.figures.append("figures/one.png")
    return found


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only study of the catalogue is "fake"."""
    module = ModuleType("fake_study")
    module.STUDY = Study("fake", "takes no time", fake)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_study", module)
    monkeypatch.setattr(catalogue, "STUDIES", {"fake": ("fake_study", "takes no time")})

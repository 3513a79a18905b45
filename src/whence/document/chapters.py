"""In what order a report is read: its chapters of sections, then what no section shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePosixPath

from whence.studies.section import Section
from whence.studies.study import Report

FINDINGS, REST = "Findings", "Also in this run"


@dataclass(frozen=True)
class Chapter:
    """Sections under one heading."""

    title: str
    sections: list[Section] = field(default_factory=list)


def chapters(report: Report) -> list[Chapter]:
    """The chapters of a report; a new one starts where the chapter of its sections changes."""
    groups = groupby(report.sections, key=lambda section: section.chapter.strip() or FINDINGS)
    found = [Chapter(title, [*sections]) for title, sections in groups]
    rest = [*_rest(report)]
    return [*found, Chapter(REST if found else FINDINGS, rest)] if rest else found


def heading(section: Section) -> str:
    """Number and title as one text, never empty."""
    return " ".join(f"{section.number} {section.title}".split()) or "Untitled"


def _rest(report: Report) -> Iterator[Section]:
    """Sentences, tables and figures that no section shows, the last two each as a section of its own."""
    said = {sentence for section in report.sections for sentence in section.sentences}
    drawn = {name for section in report.sections for name in section.figures}
    sentences = tuple(sentence for sentence in report.sentences if sentence not in said)
    if sentences:
        yield Section("", "In words", sentences)
    for title, table in report.tables.items():
        # A section may use the title for another table.
        if not any(title in part.tables and part.tables[title].equals(table) for part in report.sections):
            yield Section("", _capital(title), tables={title: table})
    for name in dict.fromkeys(report.figures):
        if name not in drawn:
            yield Section("", _capital(PurePosixPath(name).stem.replace("-", " ")), figures=(name,))


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]

"""The document: head, summary, provenance, contents, chapters, appendix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from whence.document import provenance
from whence.document.chapters import Chapter, chapters, heading
from whence.document.figures import Figures
from whence.document.markup import Anchors, items, text
from whence.document.tables import pairs, table
from whence.studies import catalogue
from whence.studies.section import Section
from whence.studies.study import Report

MARK = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta name="generator" content="whence report">\n'
"""How each document begins; by it an earlier report is told from a file of someone's own."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MADE, FACTS = "How it was made", "Appendix: facts"


def document(report: Report, about: Mapping[str, Any], folder: Path) -> str:
    """A report as one HTML text that needs no other file; ``about``: the record of its run, in ``folder``.

    Figures that are missing, no PNG or outside the folder are replaced by a message. The same run gives the same text.
    """
    made = _Writer(folder)
    found = chapters(report)
    main = "".join(map(made.chapter, found))
    facts = [*provenance.leaves(report.facts)] if report.facts else []
    if facts:
        main += made.facts(facts)
    begun = f'<h2 id="made">{MADE}</h2>\n{pairs(MADE, provenance.rows(about, folder), made.anchors, MADE)}'
    return (
        f"{_head(report.study)}<body>\n"
        '<a class="skip" href="#content">Skip to the findings</a>\n'
        f'<header>\n<h1 id="top">{text(report.study) or "Report"}</h1>\n'
        f"{_summary(report, about, found)}{begun}</header>\n"
        f'<nav aria-label="Contents">\n<h2>Contents</h2>\n<ol>\n'
        f'<li><a href="#made">{MADE}</a></li>\n{"".join(made.contents)}</ol>\n</nav>\n'
        f'<main id="content" tabindex="-1">\n{main or "<p>The run reports nothing.</p>"}</main>\n'
        f'<footer><p><a href="#top">Back to the top</a></p></footer>\n</body>\n</html>\n'
    )


def _head(study: str) -> str:
    style = resources.files("whence.document").joinpath("look.css").read_text(encoding="utf-8")
    return (
        f'{MARK}<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        # An icon of nothing: otherwise a browser asks the place the file is served from for one.
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(study)}: report of a run</title>\n"
        f"<style>\n{style}</style>\n</head>\n"
    )


def _summary(report: Report, about: Mapping[str, Any], found: list[Chapter]) -> str:
    known = catalogue.STUDIES.get(report.study)
    lead = f'<p class="lead">{text(known[1][:1].upper() + known[1][1:])}.</p>\n' if known else ""
    versions = about.get("versions")
    version = versions.get("whence") if isinstance(versions, Mapping) else None
    by = f" with whence {text(version)}" if version else ""
    parts = [part for chapter in found for part in chapter.sections]
    drawn = {*report.figures, *(name for part in parts for name in part.figures)}
    counts = [
        _count(len(report.sections), "numbered figure or table", "numbered figures and tables"),
        _count(sum(len(part.tables) for part in parts), "table", "tables"),
        _count(len(drawn), "picture", "pictures"),
        _count(sum(len(part.sentences) for part in parts), "sentence", "sentences"),
    ]
    holds = ", ".join(count for count in counts if count) or "nothing"
    when = f" begun on {text(provenance.moment(about['started']))}" if about.get("started") else ""
    return f"{lead}<p>Report of a run{when}{by}. It holds {holds}.</p>\n"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}" if number else ""


@dataclass
class _Writer:
    """Writes chapters one after another and keeps the contents, the anchors and which figures stand already."""

    folder: Path
    anchors: Anchors = field(default_factory=lambda: Anchors("top", "made", "content"))
    contents: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.figures = Figures(self.folder, self.anchors)

    def chapter(self, chapter: Chapter) -> str:
        """Heading and sections."""
        name = self.anchors.new(chapter.title)
        lines: list[str] = []
        body = "".join(self._section(section, lines) for section in chapter.sections)
        inner = f"\n<ol>\n{''.join(lines)}</ol>\n" if lines else ""
        self.contents.append(f'<li><a href="#{name}">{text(chapter.title)}</a>{inner}</li>\n')
        return _part(name, chapter.title, body)

    def facts(self, rows: list[tuple[str, str]]) -> str:
        """The appendix."""
        name = self.anchors.new(FACTS)
        self.contents.append(f'<li><a href="#{name}">{FACTS}</a></li>\n')
        return _part(name, FACTS, pairs(FACTS, rows, self.anchors, FACTS))

    def _section(self, section: Section, lines: list[str]) -> str:
        words = heading(section)
        name = self.anchors.new(section.number or words)
        number = f'<span class="label">{text(section.number)}</span> ' if section.number.strip() else ""
        shown = f"{number}{text(section.title)}" if section.title.strip() else text(words)
        lines.append(f'<li><a href="#{name}">{shown}</a></li>\n')
        parts = [table(title, frame, self.anchors, section.title) for title, frame in section.tables.items()]
        parts += [self.figures.show(path, words) for path in section.figures]
        return (
            f'<article aria-labelledby="{name}">\n<h3 id="{name}">{shown}</h3>\n'
            f"{_findings(section)}{''.join(parts)}</article>\n"
        )


def _part(name: str, title: str, body: str) -> str:
    head = f'<h2 id="{name}">{text(title)}</h2>'
    return f'<section class="chapter" aria-labelledby="{name}">\n{head}\n{body}</section>\n'


def _findings(section: Section) -> str:
    """The sentences of a run, beside what the compared publication prints where there is such."""
    ours = f"<ul>{items(section.sentences)}</ul>" if len(section.sentences) > 1 else ""
    ours = ours or "".join(f"<p>{text(sentence)}</p>" for sentence in section.sentences)
    if not section.source.strip():
        return f"{ours}\n" if ours else ""
    ours = ours or "<p>In the tables and figures below.</p>"
    return (
        f'<div class="beside">\n<div><h4>Printed in the source</h4><p>{text(section.source)}</p></div>\n'
        f"<div><h4>Found in this run</h4>{ours}</div>\n</div>\n"
    )

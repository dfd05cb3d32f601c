"""For people: the source around each finding, with the path of the loss marked in it."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lint_reduction.curves import draw
from lint_reduction.facts import Span
from lint_reduction.formats import Style, fixable, shown, summary_line
from lint_reduction.impact import Severity
from lint_reduction.run.report import Diagnostic, Report, place_of
from lint_reduction.verdict import Outcome, Verdict

_COLORS = {Severity.ERROR: (1, 31), Severity.WARNING: (1, 33), Severity.NOTE: (1, 36)}
_OUTCOMES = {
    Outcome.CONFIRMED: (1, 31),
    Outcome.MUTED: (1, 33),
    Outcome.REFUTED: (1, 32),
    Outcome.INCONCLUSIVE: (1, 36),
    Outcome.NOT_RUN: (1, 36),
}
_NEWLINE = re.compile(r"\r\n|\r|\n")
#: Of a longer line, as generated code has them, only the part around the finding is shown.
_MAX_WIDTH = 240
_BEFORE = 40


@dataclass(frozen=True, slots=True)
class _Label:
    """A stretch of a line with a word under it."""

    line: int
    start: int
    end: int
    text: str
    primary: bool


def render(report: Report, style: Style) -> str:
    """Return the findings with their source, and a summary."""
    parts = []
    for diagnostic in report.diagnostics:
        parts.append("\n".join(_finding(diagnostic, report.sources, style)) + "\n")
    parts.append(summary_line(report) + fixable(report, style) + "\n")
    return "\n".join(parts)


def _finding(diagnostic: Diagnostic, sources: Mapping[str, str], style: Style) -> Iterator[str]:
    finding = diagnostic.finding
    color = _COLORS[finding.severity]
    head = style.paint(f"{finding.severity}[{finding.code}]", *color)
    yield f"{head} {style.paint(finding.name, 1)}: {finding.message}"
    cells = {place.cell for place in finding.related if not place.span.path} - {diagnostic.cell}
    excerpts = []
    for cell in (diagnostic.cell, *sorted(cells, key=lambda cell: cell or 0)):
        text = sources.get(place_of(diagnostic.path, cell), "")
        lines = _NEWLINE.split(text) if text else []
        excerpts.append((cell, lines, _labels(diagnostic, cell, lines)))
    last = max((label.line for _, _, labels in excerpts for label in labels), default=finding.span.line)
    margin = " " * len(str(last))
    arrow, elsewhere, bar = (style.paint(sign, 1, 34) for sign in ("-->", ":::", "|"))
    yield f"{margin}{arrow} {shown(diagnostic.place)}:{finding.span.line}:{finding.span.column}"
    for cell, lines, labels in excerpts:
        if labels:
            if cell != diagnostic.cell:
                yield f"{margin}{elsewhere} {shown(place_of(diagnostic.path, cell))}"
            yield f"{margin} {bar}"
            yield from _excerpt(labels, lines, len(margin), style, color)
            yield f"{margin} {bar}"
    for related in finding.related:
        if related.span.path:
            place = f"{shown(place_of(related.span.path, related.cell))}:{related.span.line}:{related.span.column}"
            yield f"{margin}{elsewhere} {place} {style.paint(related.role, 1, 34)}"
    equals = style.paint("=", 1, 34)
    if finding.growth is not None:
        yield f"{margin} {equals} {style.paint('growth', 1)}: {finding.growth}"
    if finding.code != "RED000":
        yield f"{margin} {equals} {style.paint('confidence', 1)}: {finding.confidence}"
    if finding.verdict is not None:
        yield from _verdict(finding.verdict, margin, style)
    if finding.advice:
        yield f"{margin} {equals} {style.paint('help', 1)}: {finding.advice}"
    if finding.fix is not None:
        mark = "[*] " if style.offers(finding.fix) else ""
        title = f"{mark}{finding.fix.title} ({finding.fix.applicability.value})"
        yield f"{margin} {equals} {style.paint('fix', 1)}: {title}"


def _verdict(verdict: Verdict, margin: str, style: Style) -> Iterator[str]:
    """Say what running the finding came to, with the curve that decided."""
    equals = style.paint("=", 1, 34)
    outcome = style.paint(verdict.outcome.value, *_OUTCOMES[verdict.outcome])
    where = f" on {verdict.device}" if verdict.device and verdict.outcome is not Outcome.NOT_RUN else ""
    yield f"{margin} {equals} {style.paint('verdict', 1)}: {outcome}{where}: {_printable(verdict.reason)}"
    if verdict.curves and verdict.outcome is not Outcome.NOT_RUN:
        yield from (f"{margin}   {line}" for line in draw(verdict.curves[0]))
    if verdict.assumptions:
        yield f"{margin}   assumed: {_printable('; '.join(verdict.assumptions))}"


def _labels(diagnostic: Diagnostic, cell: int | None, lines: Sequence[str]) -> list[_Label]:
    """Return what is to be marked in the file, or in one of its cells if it is a notebook."""
    related = [r for r in diagnostic.finding.related if not r.span.path and r.cell == cell]
    spans = [(diagnostic.finding.span, "", True)] if cell == diagnostic.cell else []
    spans += [(r.span, r.role, False) for r in related]
    labels = [_label(span, text, primary, lines) for span, text, primary in spans if 0 < span.line <= len(lines)]
    return sorted(labels, key=lambda label: (label.line, not label.primary, label.start))


def _label(span: Span, text: str, primary: bool, lines: Sequence[str]) -> _Label:
    line = lines[span.line - 1]
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    start = span.column - 1
    return _Label(span.line, start, max(end, start + 1), text, primary)


def _excerpt(
    labels: Sequence[_Label], lines: Sequence[str], width: int, style: Style, color: tuple[int, ...]
) -> Iterator[str]:
    bar = style.paint("|", 1, 34)
    previous = 0
    for number, group in itertools.groupby(labels, key=lambda label: label.line):
        if previous and number > previous + 1:
            yield style.paint("...", 1, 34)
        previous = number
        here = tuple(group)
        line = lines[number - 1]
        first = 0 if len(line) <= _MAX_WIDTH else max(min(label.start for label in here) - _BEFORE, 0)
        last = first + _MAX_WIDTH
        yield f"{style.paint(f'{number:>{width}}', 1, 34)} {bar} {_printable(line[first:last])}"
        for label in here:
            mark = "^" if label.primary else "-"
            tint = color if label.primary else (1, 34)
            under = " " * _width(line[first : min(label.start, last)])
            length = _width(line[label.start : min(label.end, last)]) or 1
            text = f" {label.text}" if label.text else ""
            yield f"{' ' * width} {bar} {under}{style.paint(mark * length + text, *tint)}"


def _printable(line: str) -> str:
    """Return a line with tabs widened and without characters that would move the cursor."""
    return "".join(c if c.isprintable() else " " for c in line.replace("\t", "    ")).rstrip()


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    text = text.replace("\t", "    ")
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)

"""A table in Markdown, for the summary of a job or a comment on a pull request."""

from __future__ import annotations

import re

from lint_reduction.formats import Style, fixable, printable, summary_line
from lint_reduction.run.report import Diagnostic, Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def render(report: Report, style: Style) -> str:
    """Return a heading, a table of the findings, and the summary."""
    lines = ["## lint-reduction", ""]
    if report.diagnostics:
        lines += ["| | Place | Rule | Finding | Growth | Measured |", "|---|---|---|---|---|---|"]
        lines += [_row(report, diagnostic) for diagnostic in report.diagnostics]
        lines.append("")
    lines.append(_escaped(summary_line(report) + fixable(report, style)))
    return "\n".join(lines) + "\n"


def _row(report: Report, diagnostic: Diagnostic) -> str:
    finding = diagnostic.finding
    path = report.address(diagnostic)
    cell = "" if diagnostic.cell is None else f":cell {diagnostic.cell}"
    verdict = "" if finding.verdict is None else f"{finding.verdict.outcome.value}: {finding.verdict.reason}"
    cells = (
        str(finding.severity),
        f"{path}{cell}:{finding.span.line}:{finding.span.column}",
        f"{finding.code} {finding.name}",
        finding.message,
        "" if finding.growth is None else str(finding.growth),
        verdict,
    )
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", printable(text, " "))

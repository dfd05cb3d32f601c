"""One line a finding: ``path:line:column: RED101 message``, with ``[*]`` before the message if it can be fixed."""

from __future__ import annotations

from lint_reduction.formats import Style, fixable, shown, summary_line
from lint_reduction.run.report import Report


def render(report: Report, style: Style) -> str:
    """Return the findings, one a line, and a summary."""
    lines = []
    for diagnostic in report.diagnostics:
        finding = diagnostic.finding
        place = f"{shown(diagnostic.place)}:{finding.span.line}:{finding.span.column}:"
        mark = "[*] " if style.offers(finding.fix) else ""
        verdict = "" if finding.verdict is None else f" [{finding.verdict.outcome.value}]"
        lines.append(f"{style.paint(place, 1)} {style.paint(finding.code, 1, 31)} {mark}{finding.message}{verdict}")
    lines.append(summary_line(report) + fixable(report, style))
    return "\n".join(lines) + "\n"

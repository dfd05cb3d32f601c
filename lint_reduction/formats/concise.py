"""One line a finding: ``path:line:column: RED101 message``."""

from __future__ import annotations

from lint_reduction.formats import Style, summary_line
from lint_reduction.run.report import Report


def render(report: Report, style: Style) -> str:
    """Return the findings, one a line, and a summary."""
    lines = []
    for diagnostic in report.diagnostics:
        finding = diagnostic.finding
        place = f"{diagnostic.place}:{finding.span.line}:{finding.span.column}:"
        lines.append(f"{style.paint(place, 1)} {style.paint(finding.code, 1, 31)} {finding.message}")
    lines.append(summary_line(report))
    return "\n".join(lines) + "\n"

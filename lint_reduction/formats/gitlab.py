"""A code quality report of GitLab."""

from __future__ import annotations

import json

from lint_reduction.formats import Style
from lint_reduction.impact import Severity
from lint_reduction.run.report import Diagnostic, Report

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}


def render(report: Report, style: Style) -> str:
    """Return the findings as JSON; GitLab does not show the name of a check, so it stands in the description."""
    del style
    entries = [
        {
            "description": f"{d.finding.code}: {d.finding.message}{_cell(d)}",
            "check_name": d.finding.code,
            "fingerprint": d.fingerprint,
            "severity": _SEVERITIES[d.finding.severity],
            "location": {
                "path": report.address(d),
                "positions": {
                    "begin": {"line": d.finding.span.line, "column": d.finding.span.column},
                    "end": {"line": d.finding.span.end_line, "column": d.finding.span.end_column},
                },
            },
        }
        for d in report.diagnostics
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _cell(diagnostic: Diagnostic) -> str:
    """Say where a finding is in a notebook, whose lines are not those of the file."""
    return "" if diagnostic.cell is None else f" (cell {diagnostic.cell}, line {diagnostic.finding.span.line})"

"""A versioned JSON object: summary and diagnostics."""

from __future__ import annotations

import json

from lint_reduction import __version__
from lint_reduction.formats import Style
from lint_reduction.formats._data import as_data
from lint_reduction.impact import Severity
from lint_reduction.run.report import Report

#: Raised when a field changes its meaning or goes away; new fields do not raise it.
SCHEMA_VERSION = 1


def render(report: Report, style: Style) -> str:
    """Return the report as JSON; lines (of a cell in a notebook) and columns are 1-based, end columns exclusive."""
    del style
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "lint-reduction", "version": __version__},
        "summary": {
            "files": report.files,
            "analyzed": report.analyzed,
            "unparsed": report.unparsed,
            "suppressed": report.suppressed,
            "baselined": len(report.baselined),
            **{str(severity): report.count(severity) for severity in reversed(Severity)},
        },
        "notes": list(report.notes),
        "diagnostics": [as_data(report, diagnostic) for diagnostic in report.diagnostics],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

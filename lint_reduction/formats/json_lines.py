"""One JSON object a line for each finding, with the fields of ``json``."""

from __future__ import annotations

import json

from lint_reduction.formats import Style
from lint_reduction.formats._data import as_data
from lint_reduction.run.report import Report


def render(report: Report, style: Style) -> str:
    """Return the findings, nothing if there is none."""
    del style
    return "".join(json.dumps(as_data(report, d), ensure_ascii=False) + "\n" for d in report.diagnostics)

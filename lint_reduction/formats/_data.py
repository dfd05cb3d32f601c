"""Diagnostics as plain data, for the formats that are JSON."""

from __future__ import annotations

import math

from lint_reduction.finding import Fix
from lint_reduction.run.report import Diagnostic, Report
from lint_reduction.verdict import Verdict


def as_data(report: Report, diagnostic: Diagnostic) -> dict[str, object]:
    """Return a diagnostic; lines (of a cell in a notebook) and columns are 1-based, end columns exclusive."""
    finding = diagnostic.finding
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "message": finding.message,
        "advice": finding.advice,
        "path": diagnostic.path.replace("\\", "/"),
        "repository_path": report.address(diagnostic),
        "absolute_path": diagnostic.absolute,
        "cell": diagnostic.cell,
        "fingerprint": diagnostic.fingerprint,
        "function": diagnostic.context.function,
        "line": finding.span.line,
        "column": finding.span.column,
        "end_line": finding.span.end_line,
        "end_column": finding.span.end_column,
        "growth": None if finding.growth is None else str(finding.growth),
        "related": [
            {
                "role": related.role,
                "path": (related.span.path or diagnostic.path).replace("\\", "/"),
                "cell": related.cell,
                "line": related.span.line,
                "column": related.span.column,
                "end_line": related.span.end_line,
                "end_column": related.span.end_column,
            }
            for related in finding.related
        ],
        "fix": None if finding.fix is None else _fix(finding.fix),
        "verdict": None if finding.verdict is None else _verdict(finding.verdict),
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "curves": [
            {
                "count": curve.count.value,
                "what": curve.what,
                "sizes": list(curve.sizes),
                "norms": [number(norm) for norm in curve.norms],
                "exponent": number(curve.exponent),
            }
            for curve in verdict.curves
        ],
        "optimizer": verdict.optimizer,
        "assumptions": list(verdict.assumptions),
        "device": verdict.device,
        "dtype": verdict.dtype,
        "layers": dict(verdict.layers),
        "cached": verdict.cached,
    }


def number(value: float | None) -> float | None:
    """Return a number as JSON can hold it, None for one that is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _fix(fix: Fix) -> dict[str, object]:
    return {
        "applicability": fix.applicability.value,
        "title": fix.title,
        "edits": [
            {
                "line": edit.span.line,
                "column": edit.span.column,
                "end_line": edit.span.end_line,
                "end_column": edit.span.end_column,
                "replacement": edit.replacement,
            }
            for edit in fix.edits
        ],
    }

"""Workflow commands of GitHub Actions, which become annotations; the worst first, as only ten of a step are shown."""

from __future__ import annotations

from lint_reduction.formats import Style
from lint_reduction.impact import Severity
from lint_reduction.run.report import Diagnostic, Report

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(report: Report, style: Style) -> str:
    """Return one command a finding, nothing if there is none."""
    del style
    ordered = sorted(report.diagnostics, key=lambda d: -d.finding.severity)
    return "".join(_command(report, diagnostic) + "\n" for diagnostic in ordered)


def _command(report: Report, diagnostic: Diagnostic) -> str:
    finding, span = diagnostic.finding, diagnostic.finding.span
    properties = {"title": f"lint-reduction ({finding.code})", "file": report.address(diagnostic)}
    if diagnostic.cell is None:
        properties["line"] = str(span.line)
        # GitHub takes columns for those of one line only
        if span.line == span.end_line:
            properties.update(col=str(span.column), endLine=str(span.end_line), endColumn=str(span.end_column))
        else:
            properties["endLine"] = str(span.end_line)
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    verdict = "" if finding.verdict is None else f" [{finding.verdict.outcome.value}]"
    text = f"{diagnostic.place}:{span.line}:{span.column}: {finding.code} {finding.message}{verdict}"
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(text)}"


def _data(text: str) -> str:
    text = "".join(c if c.isprintable() or c in "\r\n" else "?" for c in text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

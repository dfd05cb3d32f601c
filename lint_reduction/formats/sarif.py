"""SARIF 2.1.0 as code scanning of GitHub takes it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from urllib.parse import quote

from lint_reduction import __version__
from lint_reduction.facts import Span
from lint_reduction.finding import Confidence, Fix, Related
from lint_reduction.formats import Style
from lint_reduction.formats._data import number
from lint_reduction.impact import Severity
from lint_reduction.rules import Rule, all_rules
from lint_reduction.run.report import Diagnostic, Report
from lint_reduction.verdict import Verdict

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "recommendation"}
_PRECISIONS = {Confidence.HIGH: "very-high", Confidence.MEDIUM: "high", Confidence.LOW: "medium"}
#: The longest that GitHub shows of a short text, and the most places of a result that it keeps.
_TEXT, _PLACES = 1024, 100
#: GitHub refuses a log with more results.
_RESULTS = 25_000
#: What is reported of files and comments, which is no rule with a file of its own.
_OWN = (
    ("RED000", "unreadable-file", "The file cannot be analyzed.", Severity.ERROR),
    ("RED001", "unused-suppression", "A comment silences a rule that finds nothing there.", Severity.NOTE),
)


def render(report: Report, style: Style) -> str:
    """Return a log with one run."""
    del style
    rules = [_own_rule(*own) for own in _OWN] + [_rule(rule) for rule in all_rules()]
    index = {str(rule["id"]): position for position, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "lint-reduction",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not report.crashes}],
        "results": _results(report, index),
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _own_rule(code: str, name: str, text: str, severity: Severity) -> dict[str, object]:
    return _described(code, name, text, text, text, severity)


def _rule(rule: Rule) -> dict[str, object]:
    summary = rule.summary.replace("`", "")
    _, _, rest = rule.documentation.strip().partition("\n")
    first = rest.strip().partition("\n\n## ")[0].removeprefix("## What goes wrong").strip()
    full = " ".join(first.replace("`", "").split())
    return _described(
        rule.code, rule.name, summary, full or summary, rule.documentation.strip(), rule.severity, on=rule.default
    )


def _described(
    code: str, name: str, summary: str, full: str, document: str, severity: Severity, *, on: bool = True
) -> dict[str, object]:
    return {
        "id": code,
        "name": name,
        "shortDescription": {"text": _short(summary)},
        "fullDescription": {"text": _short(full)},
        "help": {"text": document, "markdown": f"# {code} {name}\n\n{document}"},
        "defaultConfiguration": {"level": _LEVELS[severity], "enabled": on},
        "properties": {
            "precision": "very-high" if on else "high",
            "problem.severity": _PROBLEMS[severity],
            "tags": ["pytorch", "loss", "reliability"],
        },
    }


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _results(report: Report, index: dict[str, int]) -> list[dict[str, object]]:
    """Return the results, of more than GitHub takes the worst; new ones come before known ones."""
    new, known = report.diagnostics, report.baselined
    if len(new) + len(known) > _RESULTS:
        new, known = (tuple(sorted(part, key=lambda d: -d.finding.severity)) for part in (new, known))
        new, known = new[:_RESULTS], known[: max(_RESULTS - len(new), 0)]
    results = [_result(report, diagnostic, index) for diagnostic in new]
    return results + [_baselined(_result(report, diagnostic, index)) for diagnostic in known]


def _result(report: Report, diagnostic: Diagnostic, index: dict[str, int]) -> dict[str, object]:
    finding = diagnostic.finding
    uri = _uri(report.address(diagnostic))
    advice = f" {finding.advice}" if finding.advice else ""
    cell = "" if diagnostic.cell is None else f" (cell {diagnostic.cell}, line {finding.span.line})"
    places = [
        (_place(uri if not r.span.path else _uri(report.address_of(r.span.path)), r.span), _role(r))
        for r in finding.related
    ]
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}{cell}.{advice}"},
        "locations": [_place(uri, finding.span)],
        "partialFingerprints": {"lintReduction/v1": diagnostic.fingerprint},
        "properties": _properties(diagnostic),
    }
    if places:
        result["relatedLocations"] = [
            {"id": place_id, **place, "message": {"text": role}}
            for place_id, (place, role) in enumerate(places[:_PLACES])
        ]
        result["codeFlows"] = [_flow(_place(uri, finding.span), places[: _PLACES - 1])]
    if finding.fix is not None and diagnostic.cell is None:
        # the lines of a cell are not those of the file, in which a program would replace text
        result["fixes"] = [_fix(finding.fix, uri)]
    return result


def _role(related: Related) -> str:
    return related.role if related.cell is None else f"{related.role} (cell {related.cell}, line {related.span.line})"


def _baselined(result: dict[str, object]) -> dict[str, object]:
    """Mark a result as known: one that is left out would make its alert close, and open again later."""
    return {**result, "suppressions": [{"kind": "external"}], "baselineState": "unchanged"}


def _properties(diagnostic: Diagnostic) -> dict[str, object]:
    finding = diagnostic.finding
    properties: dict[str, object] = {
        "precision": _PRECISIONS[finding.confidence],
        "confidence": str(finding.confidence),
    }
    if finding.growth is not None:
        properties["growth"] = str(finding.growth)
    if finding.verdict is not None:
        properties["verdict"] = _verdict(finding.verdict)
    return properties


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "device": verdict.device,
        "exponents": [
            {"of": curve.what, "count": curve.count.value, "exponent": number(curve.exponent)}
            for curve in verdict.curves
        ],
    }


def _uri(path: str) -> str:
    # names need not be text, and quote takes bytes as they are
    return quote(os.fsencode(path.replace("\\", "/")), safe="/~-._")


def _place(uri: str, span: Span) -> dict[str, object]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": _region(span)}}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _flow(site: dict[str, object], places: Sequence[tuple[dict[str, object], str]]) -> dict[str, object]:
    """Return the path of the loss, beginning where its reduction is decided."""
    steps = [(site, "reduction"), *places]
    locations = [{"location": {**place, "message": {"text": role}}} for place, role in steps]
    return {"threadFlows": [{"locations": locations}]}


def _fix(fix: Fix, uri: str) -> dict[str, object]:
    replacements = [
        {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.replacement}} for edit in fix.edits
    ]
    changes = [{"artifactLocation": {"uri": uri}, "replacements": replacements}]
    return {"description": {"text": f"{fix.title} ({fix.applicability.value})"}, "artifactChanges": changes}
